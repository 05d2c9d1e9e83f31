"""Joins chunks that were each an encoder run of their own: every one decoded by itself and clipped, one stream encoded.

Lossy sources become Opus whatever they were: its granules carry the duration to the sample, players, libopusfile and
libsndfile read it whole and seek in it, and it is the one codec here that can be encoded on all cores. MP3 and AAC would
lose a sample-exact length in half of all readers. Lossless sources become FLAC.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import av
import numpy as np
from av.audio.frame import AudioFrame

from services.stitcher.adts_runs import Cut
from services.stitcher.bytestream import ByteStream
from services.stitcher.containers import flac, mp4, sized, wav, webm_opus
from services.stitcher.containers.malformed import corrupt, truncated
from services.stitcher.containers.opus import CLOCK, OpusStream, audio_pages, packets
from services.stitcher.decode import Format, frames, frames_between, measure
from services.stitcher.encode import Target, encode_opus, fitting_bitrate
from services.stitcher.faults import blaming
from services.stitcher.libopus import Decoder, Samples, load

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_LONGEST_PACKET = 5760
_SLACK = 4096  # samples by which a header's word and the packets may differ: two frames of the longest codec
_BURST = 4096  # samples by which frames may be stamped too close to each other: some recorders stamp them as they get them ...
_DRIFT = 200  # ... and one of so many, by a clock that is not the audio's own

Cuts = Sequence[Cut] | None  # one a chunk; None: all of it is audio


class OpusSource(NamedTuple):
    """One chunk's Opus stream: what it holds, and a way to read its packets."""

    stream: OpusStream
    packets: Callable[[], Iterator[bytes]]


def from_ogg(path: Path, stream: OpusStream) -> OpusSource:
    """A scanned Ogg-Opus chunk."""

    def read() -> Iterator[bytes]:
        with ByteStream([path]) as chunk:
            yield from packets(audio_pages(chunk, stream))

    return OpusSource(stream, read)


def from_webm(path: Path, stream: OpusStream) -> OpusSource:
    """A scanned chunk of Opus in WebM or Matroska."""
    return OpusSource(stream, partial(webm_opus.packets, path))


def opus_to_opus(sources: list[OpusSource], path: Path, *, threads: int, library: ctypes.CDLL) -> int:
    """Independent Opus chunks to one; the length in samples at 48 kHz.

    Works at the lowest rate that holds all there is in the chunks: most speech is wide band, a third of the samples.
    """
    found = [source.stream for source in sources]
    total = sum(one.samples for one in found)
    rate = max(one.working_rate for one in found)
    bitrate = fitting_bitrate(sum(one.packet_bytes for one in found), total / CLOCK, found[0].channels)
    target = Target(rate, found[0].channels, bitrate)
    encode_opus(_opus_pcm(sources, rate, library), target, path, threads=threads, library=library)
    return total


def _opus_pcm(sources: list[OpusSource], rate: int, library: ctypes.CDLL) -> Iterator[Samples]:
    """The chunks' samples; places on the time line are rounded, lengths never, so nothing drifts."""
    position = 0
    for number, source in enumerate(sources, 1):
        begin, end = (round(at * rate / CLOCK) for at in (position, position + source.stream.samples))
        position += source.stream.samples
        with blaming(number):
            decoder = Decoder(library, rate, source.stream.channels, source.stream.gain)
            yield from _decoded(source, decoder, rate, end - begin)


def _decoded(source: OpusSource, decoder: Decoder, rate: int, left: int) -> Iterator[Samples]:
    """The next `left` samples at `rate`: pre-skip is dropped, and what end trimming cuts never comes."""
    one = source.stream
    skip, room = round(one.pre_skip * rate / CLOCK), 2 * rate
    stride, block, filled = 4 * one.channels, np.empty((room, one.channels), np.float32), 0
    address = block.ctypes.data
    for packet in source.packets():
        if not packet:
            continue
        filled += decoder.decode(packet, address + filled * stride, _LONGEST_PACKET)
        if room - filled < _LONGEST_PACKET:
            ready = block[skip : min(filled, skip + left)]
            skip, left = max(0, skip - filled), left - len(ready)
            yield ready
            block, filled = np.empty((room, one.channels), np.float32), 0
            address = block.ctypes.data
    ready = block[skip : min(filled, skip + left)]
    yield ready
    if left > len(ready):  # rounding, or a header that promises a sample too many
        yield np.zeros((left - len(ready), one.channels), np.float32)


def any_to_opus(stream: ByteStream, layout: Format, path: Path, *, threads: int, cuts: Cuts = None) -> tuple[int, int]:
    """Chunks of any lossy codec to Ogg-Opus, only what `cuts` leaves of each; the length in samples, and their rate."""
    with blaming(1):
        sample = measure(stream.paths[0])
    rate = layout.rate if layout.rate in _OPUS_RATES else CLOCK
    bitrate = fitting_bitrate(sample.packet_bytes, sample.samples / layout.rate, layout.channels)
    target = Target(rate, layout.channels, bitrate)
    samples = encode_opus(_resampled(stream, target, cuts), target, path, threads=threads, library=load())
    return samples, rate


def _resampled(stream: ByteStream, target: Target, cuts: Cuts) -> Iterator[Samples]:
    """One resampler over all chunks, so that a join leaves no mark of its own."""
    layout = "mono" if target.channels == 1 else "stereo"
    resampler = av.AudioResampler(format="flt", layout=layout, rate=target.rate)
    for frame in clipped_frames(stream) if cuts is None else _cut_frames(stream, cuts):
        for ready in resampler.resample(frame):
            yield _interleaved(ready, target.channels)
    for ready in resampler.resample(None):
        yield _interleaved(ready, target.channels)


def _interleaved(frame: AudioFrame, channels: int) -> Samples:
    return cast("Samples", frame.to_ndarray().reshape(-1, channels))


def clipped_frames(stream: ByteStream) -> Iterator[AudioFrame]:
    """The decoded frames of all chunks in order, their times forgotten."""
    for number, path in enumerate(stream.paths, 1):
        with blaming(number):
            most, least = _lengths(path)
            samples = end = 0
            for frame in frames(path, most):
                samples += frame.samples
                end = (frame.pts or 0) + frame.samples
                frame.pts = None
                yield frame
            check_promise(samples, end, least)


def _cut_frames(stream: ByteStream, cuts: Sequence[Cut]) -> Iterator[AudioFrame]:
    for number, (path, cut) in enumerate(zip(stream.paths, cuts, strict=True), 1):
        with blaming(number):
            for frame in frames_between(path, cut.begin, cut.length):
                frame.pts = None
                yield frame


def check_promise(samples: int, end: int, promised: int) -> None:
    """Fewer samples than the header promises are damage in the middle if the last ones came, else the end is missing."""
    if samples < promised:
        raise corrupt(0, "audio is missing in the middle") if end >= promised else truncated(0, "the audio")


def _lengths(path: Path) -> tuple[int | None, int]:
    """At most how many samples a file holds (of those whose decoders keep the padding), and at least (FLAC's promise)."""
    with ByteStream([path]) as chunk:
        head = chunk.read_at(0, 64)
        if wav.starts(head):
            return wav.scan(chunk).fact or None, 0
        if mp4.starts(head):
            found = measure(path)
            if found.stated - found.samples > _SLACK:
                raise corrupt(0, "its index holds less audio than it says")
            if found.too_close > _BURST + found.samples // _DRIFT:
                raise corrupt(0, "its index gives its audio less time than it takes")
            return None if found.too_close else found.samples, 0  # such times do not tell what of the last frame is padding
        if head.startswith(b".snd"):
            padded = chunk.only_zeros_from(sized.walk_au(chunk))
            return measure(path).stated or None if padded else None, 0
        return None, flac.scan(chunk).samples if flac.starts(head) else 0
