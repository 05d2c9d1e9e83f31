"""What a media file is and how long it really lasts; a header's word counts only where the packets confirm it."""

from pathlib import Path
from typing import Any

import av
import msgspec
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers import ogg, webm_opus
from services.stitcher.containers.frames import promised_frames
from services.stitcher.containers.malformed import Malformed
from services.stitcher.containers.opus import CLOCK, OpusStream, is_opus, links
from services.stitcher.decode import packets_of
from services.stitcher.digest import sha256_of
from services.stitcher.faults import said
from services.stitcher.ports import Inspected, Probed
from services.stitcher.sniff import family, sniff
from shared.demux import reader_of
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.magic import READERS
from shared.domain.media import SAMPLE_RATES_HZ

_HEAD = 1 << 16
_CONFIRMED_SECONDS = 0.15  # a header may differ from the packets by padding, not by more
_PROOF = 32  # packets among which one must decode


def probe(path: Path) -> Probed:
    """Inspect and hash a whole file; raises `PermanentFailure` (audio_corrupt, unsupported_format) when it is no media."""
    found = inspect(path)
    return Probed(**msgspec.structs.asdict(found), size_bytes=path.stat().st_size, sha256=sha256_of(path))


def inspect(path: Path) -> Inspected:
    """What is in the file, read to its end; raises as `probe` does."""
    with ByteStream([path]) as stream:
        mime = sniff(stream.read_at(0, _HEAD))
        if mime is not None and mime.startswith("image/"):
            raise PermanentFailure(FailureReason.UNSUPPORTED_FORMAT, f"{mime} is not a recording")
        if mime is not None and (opus := _opus(stream)) is not None:
            return opus
    try:
        with av.open(str(path), format=reader_of(path), options=READERS, metadata_errors="ignore") as container:
            return _demuxed(container, mime)
    except (av.FFmpegError, Malformed, ValueError) as fault:
        reason = FailureReason.UNSUPPORTED_FORMAT if mime is None else FailureReason.AUDIO_CORRUPT
        raise PermanentFailure(reason, f"cannot be read as {mime or 'any format we know'} ({said(fault)})") from fault


def _opus(stream: ByteStream) -> Inspected | None:
    """Ogg-Opus by its granules; None for anything else and for a damaged file, of which PyAV may save a part."""
    try:
        if not is_opus(stream):
            return None
        found = links(stream)
    except Malformed:
        return None
    alike = len({one.channels for one in found}) == 1 and not ogg.starts(stream.read_at(found[-1].end, 64))
    return described_opus(*found) if alike else None


def described_opus(*links: OpusStream) -> Inspected:
    """Scanned Ogg-Opus streams, one chained behind the other, in the words of every other file."""
    return Inspected(
        content_type="audio/ogg",
        codec="opus",
        sample_rate_hz=CLOCK,
        channels=links[0].channels,
        duration_ms=round(sum(one.samples for one in links) * 1000 / CLOCK),
        has_video=False,
    )


def _demuxed(container: InputContainer, mime: str | None) -> Inspected:
    audio = next(iter(container.streams.audio), None)
    videos = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if audio is None and not videos:
        raise Malformed(FailureReason.AUDIO_CORRUPT, 0, "neither audio nor video in it")
    main = audio or videos[0]
    context = main.codec_context
    if context is None:
        raise PermanentFailure(FailureReason.UNSUPPORTED_FORMAT, "its header names no codec that is known here")
    if audio is not None and audio.codec_context.sample_rate not in SAMPLE_RATES_HZ:
        told = f"it says that it was recorded at {audio.codec_context.sample_rate} Hz"
        raise PermanentFailure(FailureReason.UNSUPPORTED_FORMAT, told)
    seconds = _duration(container, main.index)
    return Inspected(
        content_type=_content_type(mime, container.format.name, video=bool(videos)),
        codec=context.codec.canonical_name,
        sample_rate_hz=audio.codec_context.sample_rate if audio is not None else 0,
        channels=audio.codec_context.channels if audio is not None else 0,
        duration_ms=round(seconds * 1000),
        has_video=bool(videos),
    )


def _duration(container: InputContainer, index: int) -> float:
    """Seconds by the packets of the stream; by its header when that differs by no more than padding explains."""
    stream = container.streams[index]
    assert stream.time_base is not None
    begin: int | None = None
    end, last, step, proven, count = 0, 0, 0, False, 0
    for packet in packets_of(container, stream):
        if packet.size == 0 or packet.pts is None:
            continue
        count += 1
        if not proven and count <= _PROOF:
            proven = _decodes(packet)
        step = packet.duration or (packet.pts - last if count > 1 else 0) or step
        last = packet.pts
        begin = packet.pts if begin is None else min(begin, packet.pts)
        end = max(end, packet.pts + step)
    if not proven:
        raise Malformed(FailureReason.AUDIO_CORRUPT, 0, "nothing in it can be decoded")
    measured = float((end - max(0, begin or 0)) * stream.time_base)
    stated = _stated(container, stream)
    return stated if stated and abs(stated - measured) <= _CONFIRMED_SECONDS else measured


def _stated(container: InputContainer, stream: Stream) -> float:
    """What the stream says of its own length, in seconds; 0 for nothing. Opus in WebM says it with its packets."""
    if not _has_header(container):
        return 0  # what FFmpeg gives is a guess from size and bit rate
    if stream.codec_context.name == "opus" and "matroska" in container.format.name:
        return webm_opus.scan(Path(container.name)).samples / CLOCK
    return float((stream.duration or 0) * (stream.time_base or 0))


def _has_header(container: InputContainer) -> bool:
    """Whether the file has a place for its length: ADTS and AMR have none, MP3 only a tag that not every encoder writes."""
    if container.format.name == "mp3":
        with ByteStream([Path(container.name)]) as stream:
            return promised_frames(stream) > 0
    return container.format.name not in ("aac", "amr")


def _decodes(packet: "Packet[Any]") -> bool:
    try:
        return bool(packet.decode())
    except av.FFmpegError:
        return False


def _content_type(mime: str | None, container: str, *, video: bool) -> str:
    """The sniffed type with what is really in it: audio or video."""
    kind = family(mime) if mime is not None else f"x-{container.partition(',')[0]}"
    if kind in ("mp4", "webm", "ogg", "x-matroska") or mime is None:
        return f"{'video' if video else 'audio'}/{kind}"
    return f"audio/{kind}"
