"""Samples to one Ogg-Opus file, on all cores: segments are encoded side by side and written in order."""

import ctypes
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import av
import msgspec
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from services.stitcher.containers.ogg import LAST, Page, encode_page
from services.stitcher.containers.opus import CLOCK, header_pages
from services.stitcher.libopus import Encoder, Samples
from services.stitcher.segments import FRAMES_PER_SECOND, Cutter, Segment

_PACKET = CLOCK // FRAMES_PER_SECOND
_PRE_SKIP = 312  # libopus looks ahead 6.5 ms at every rate
_SERIAL = 1
_PER_PAGE = 40  # of which even the largest packets fit the 255 laces of a page
_MEMORY = 24 << 20  # for all segments under way together
_SEGMENT_SECONDS = (5.0, 30.0)


class Target(msgspec.Struct, frozen=True):
    """What to encode to; `rate` is one libopus works at: 8, 12, 16, 24 or 48 kHz."""

    rate: int
    channels: int
    bitrate: int


def fitting_bitrate(packet_bytes: int, seconds: float, channels: int) -> int:
    """The bit rate of the source, within what makes sense for Opus: 16 to 128 kb/s a channel."""
    source = round(packet_bytes * 8 / seconds) if seconds > 0 else 0
    return min(max(source, 16_000 * channels), 128_000 * channels)


def encode_opus(pcm: Iterable[Samples], target: Target, path: Path, *, threads: int, library: ctypes.CDLL | None) -> int:
    """Write `pcm` as Ogg-Opus to `path`; the samples per channel that went in, which is exactly what plays.

    Memory stays bounded by the segments under way. Without libopus at hand PyAV's codec does it in one thread.
    """
    count = threads + 2
    room = _MEMORY / (count * target.rate * target.channels * 4 * 2)
    cutter = Cutter(target.rate, target.channels, min(max(room, _SEGMENT_SECONDS[0]), _SEGMENT_SECONDS[1]))
    with path.open("wb") as file:
        writer = PacketWriter(file, target)
        run = _segments(pcm, cutter, target.rate)
        for packets in _single(run, target) if library is None else _parallel(run, target, threads, library):
            writer.add(packets)
        writer.close(round(cutter.total * CLOCK / target.rate))
    return cutter.total


def _segments(pcm: Iterable[Samples], cutter: Cutter, rate: int) -> Iterator[Segment]:
    for block in pcm:
        yield from cutter.take(block)
    yield cutter.finish(_PRE_SKIP * rate // CLOCK)


def _parallel(run: Iterator[Segment], target: Target, threads: int, library: ctypes.CDLL) -> Iterator[list[bytes]]:
    waiting: deque[Future[list[bytes]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="opus") as pool:
        try:
            for segment in run:
                waiting.append(pool.submit(_encode, segment, target, library))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _encode(segment: Segment, target: Target, library: ctypes.CDLL) -> list[bytes]:
    encoder = Encoder(library, target.rate, target.channels, target.bitrate)
    return list(encoder.encode(segment.samples))[segment.preroll :]


def _single(run: Iterator[Segment], target: Target) -> Iterator[list[bytes]]:
    """One run of PyAV's encoder over all segments; their pre-roll is left out, not needed."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate, codec.bit_rate, codec.format = target.rate, target.bitrate, av.AudioFormat("flt")
    codec.layout = "mono" if target.channels == 1 else "stereo"
    for segment in run:
        samples = segment.samples[segment.preroll * target.rate // FRAMES_PER_SECOND :]
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=codec.layout.name)
        frame.sample_rate = target.rate
        yield [bytes(packet) for packet in codec.encode(frame)]
    yield [bytes(packet) for packet in codec.encode(None)]


class PacketWriter:
    """Packets of 20 ms into Ogg pages of 0.8 s; holds the last page back, for only `close` knows that it is."""

    def __init__(self, file: BinaryIO, target: Target) -> None:
        self._file = file
        self._held: list[bytes] = []
        self._packets = 0
        self._sequence = 2
        file.write(header_pages(_SERIAL, target.channels, _PRE_SKIP, target.rate))

    def add(self, packets: list[bytes]) -> None:
        """Take the next packets."""
        self._held += packets
        while len(self._held) > _PER_PAGE:
            self._write(self._held[:_PER_PAGE], None)
            del self._held[:_PER_PAGE]

    def close(self, samples: int) -> None:
        """Write the last page; readers will play exactly `samples` (at 48 kHz)."""
        needed = -(-(samples + _PRE_SKIP) // _PACKET) - self._packets
        self._write(self._held[:needed], samples + _PRE_SKIP)

    def _write(self, packets: list[bytes], final: int | None) -> None:
        self._packets += len(packets)
        lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
        granule = self._packets * _PACKET if final is None else final
        page = Page(0, 0 if final is None else LAST, granule, _SERIAL, self._sequence, lacing, b"".join(packets))
        self._file.write(encode_page(page))
        self._sequence += 1
