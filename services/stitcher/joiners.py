"""The ways chunks can be joined, and which one their contents ask for."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import msgspec

from services.stitcher import libopus
from services.stitcher.arrange import Arrangement, check_file
from services.stitcher.bytestream import ByteStream
from services.stitcher.containers import flac, opus, wav, webm, webm_opus
from services.stitcher.containers.malformed import Malformed
from services.stitcher.containers.opus import CLOCK, OpusStream
from services.stitcher.containers.wav import Wav
from services.stitcher.decode import Format, frames, read_format
from services.stitcher.digest import Digests, digest
from services.stitcher.faults import blaming, chunk_failure, locating, mixed
from services.stitcher.lossless import pcm_blocks, remux_opus, renumber, to_flac
from services.stitcher.ports import Inspected
from services.stitcher.probe import described_opus, inspect
from services.stitcher.reencode import OpusSource, any_to_opus, check_promise, from_ogg, from_webm, opus_to_opus
from shared.domain.errors import FailureReason, PermanentFailure

T = TypeVar("T")
_MAX_CHANNELS = 2  # what Opus holds without a channel mapping
_SPEAK_FOR_THEMSELVES = ("opus",)  # checked page by page, and every packet decodes to something
_ONE_PACKET = CLOCK // 50


class Written(msgspec.Struct):
    """A joined file, and its digests where writing it gave them."""

    path: Path
    found: Inspected
    method: str
    digests: Digests | None = None


def concatenate(stream: ByteStream, arrangement: Arrangement, path: Path) -> tuple[Written, Digests]:
    """The bytes one after the other, hashed while they are copied."""
    with path.open("wb") as file:
        digests = digest(stream.blocks(), file)
    try:
        one = arrangement.opus
        found = described_opus(one) if one is not None and one.end == stream.size else inspect(path)
    except PermanentFailure as failure:
        raise chunk_failure(FailureReason.CHUNK_CORRUPT, 1, failure.message) from failure
    if not (found.has_video or found.codec in _SPEAK_FOR_THEMSELVES or found.codec.startswith("pcm_")):
        _check_decodes(stream, path)
    return Written(path, found, "concatenate", digests), digests


def join_separate(stream: ByteStream, arrangement: Arrangement, path: Path, *, threads: int) -> Written:
    """Chunks that are files of their own (or of one stream, but not all of them or as it stands) to one file."""
    if arrangement.kept is not None:
        return _keep(stream, arrangement.kept, path)
    if not arrangement.separate and arrangement.opus is not None:
        renumber(stream, path)
        return Written(path, described_opus(arrangement.opus), "remux")
    if arrangement.kind == "ogg" and all(_each(stream, opus.is_opus)):
        return _join_opus(stream, path, threads)
    if arrangement.kind == "wav":
        found = _each(stream, wav.scan)
        _same(list(map(_wav_format, found)))
        if found[0].codec is not None:
            return _join_pcm(stream, found, path)
    return _join_any(stream, arrangement, path, threads)


def _keep(stream: ByteStream, kept: Sequence[range], path: Path) -> Written:
    """Some of the bytes, as they stand."""
    with path.open("wb") as file:
        digests = digest(stream.parts(kept), file)
    found = inspect(path)
    _check_decodes(stream, path, kept)
    return Written(path, found, "remux", digests)


def _join_opus(stream: ByteStream, path: Path, threads: int) -> Written:
    found = _each(stream, opus.scan)
    for number, one in enumerate(found, 1):
        if one.channels != found[0].channels:
            raise mixed(number, f"{one.channels} channels among {found[0].channels}")
        if one.packet_samples == 0:
            raise chunk_failure(FailureReason.CHUNK_EMPTY, number, "headers without audio")
        with stream.only(number - 1) as chunk:
            if not chunk.only_zeros_from(one.end):
                raise chunk_failure(FailureReason.CHUNK_CORRUPT, number, "more in the chunk than one stream")
    if _goes_on(found):
        remux_opus(stream, found, path)
        return Written(path, described_opus(msgspec.structs.replace(found[0], last=found[-1].last)), "remux")
    sources = [from_ogg(chunk, one) for chunk, one in zip(stream.paths, found, strict=True)]
    return _opus_runs(sources, path, threads) or _join_any(stream, Arrangement("ogg", separate=True), path, threads)


def _opus_runs(sources: list[OpusSource], path: Path, threads: int) -> Written | None:
    """Opus to Opus by libopus itself; None where it is not at hand or the channels need a mapping."""
    library, found = libopus.load(), [source.stream for source in sources]
    if library is None or any(one.family or one.channels > _MAX_CHANNELS for one in found):
        return None
    samples = opus_to_opus(sources, path, threads=threads, library=library)
    return Written(path, _described("opus", CLOCK, found[0].channels, samples / CLOCK), "reencode")


def _goes_on(found: list[OpusStream]) -> bool:
    """Whether every chunk's granules begin where the one before ends: one encoder ran through all of them."""
    return all(after.first > _ONE_PACKET and abs(after.first - before.last) <= _ONE_PACKET for before, after in pairwise(found))


def _join_pcm(stream: ByteStream, found: list[Wav], path: Path) -> Written:
    for number, one in enumerate(found, 1):
        if one.data_size == 0:
            raise chunk_failure(FailureReason.CHUNK_EMPTY, number, "a header without samples")
    with path.open("wb") as file:
        digests = digest(pcm_blocks(stream, found), file)
    seconds = sum(one.samples for one in found) / found[0].rate
    return Written(path, _described(found[0].codec or "", found[0].rate, found[0].channels, seconds), "pcm", digests)


def _join_any(stream: ByteStream, arrangement: Arrangement, path: Path, threads: int) -> Written:
    kind = arrangement.kind
    _each(stream, lambda chunk: check_file(chunk, kind))
    formats = _each(stream, lambda chunk: read_format(chunk.paths[0]))
    _same(formats)
    layout = formats[0]
    if layout.codec == "opus" and kind in ("webm", "x-matroska"):
        found = _each(stream, lambda chunk: webm_opus.scan(chunk.paths[0], webm.blocks(chunk)))
        sources = [from_webm(chunk, one) for chunk, one in zip(stream.paths, found, strict=True)]
        if (written := _opus_runs(sources, path, threads)) is not None:
            return written
    if layout.lossless or layout.channels > _MAX_CHANNELS:
        samples, rate = to_flac(stream, layout, path), layout.rate
        return Written(path, _described("flac", rate, layout.channels, samples / rate), "reencode")
    samples, rate = any_to_opus(stream, layout, path, threads=threads, cuts=arrangement.cuts)
    return Written(path, _described("opus", CLOCK, layout.channels, samples / rate), "reencode")


def _each(stream: ByteStream, read: Callable[[ByteStream], T]) -> list[T]:
    """What `read` makes of every chunk by itself; what it finds wrong is that chunk's fault."""
    results = []
    for index in range(len(stream.paths)):
        with stream.only(index) as chunk, blaming(index + 1):
            results.append(read(chunk))
    return results


def _wav_format(one: Wav) -> Format:
    return Format(one.codec or f"wav format {one.tag}", one.rate, one.channels, one.bits)


def _same(formats: list[Format]) -> None:
    """All alike, or the first that is not like most is named."""
    ((usual, _),) = Counter(formats).most_common(1)
    for number, one in enumerate(formats, 1):
        if one != usual:
            raise mixed(number, f"{_words(one)} among {_words(usual)}")


def _words(one: Format) -> str:
    details = (f"{one.codec} of {one.rate} Hz", f"{one.channels} channels", one.layout, f"{one.bits} bits" if one.bits else "")
    return ", ".join(filter(None, details))


def _described(codec: str, rate: int, channels: int, seconds: float) -> Inspected:
    mime = {"opus": "audio/ogg", "flac": "audio/flac"}.get(codec, "audio/wav")
    return Inspected(
        content_type=mime, codec=codec, sample_rate_hz=rate, channels=channels, duration_ms=round(seconds * 1000), has_video=False
    )


def _check_decodes(stream: ByteStream, path: Path, kept: Sequence[range] = ()) -> None:
    """Decode the joined file where neither checksums nor plain samples speak for it; names the chunk that cannot be.

    `kept`: of which bytes of the chunks it is made, unless of all.
    """
    promised = flac.scan(stream).samples if flac.starts(stream.read_at(0, 64)) else 0
    samples = end = 0
    with locating(stream):
        try:
            for frame in frames(path, None):
                samples += frame.samples
                end = (frame.pts or 0) + frame.samples
        except Malformed as fault:
            fault.offset = _place_of(fault.offset, kept)
            raise
        check_promise(samples, end, promised)


def _place_of(offset: int, kept: Sequence[range]) -> int:
    """Where in the chunks the byte at `offset` of the joined file was."""
    for part in kept:
        if offset < len(part):
            return part[offset]
        offset -= len(part)
    return kept[-1].stop if kept else offset
