"""Decoding through PyAV: each chunk with a demuxer and decoder of its own, clipped to its true length."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers import flac
from services.stitcher.containers.malformed import Malformed, corrupt, truncated
from shared.demux import reader_of
from shared.domain.errors import FailureReason
from shared.domain.magic import READERS
from shared.domain.media import SAMPLE_RATES_HZ

_LOSSLESS = ("flac", "alac", "wavpack", "tta", "ape")


class Format(NamedTuple):
    """What all chunks of a recording must have in common to be joined."""

    codec: str
    rate: int
    channels: int
    bits: int  # 0 where the codec has no such thing
    layout: str = ""  # which speaker each channel is for, where that is told

    @property
    def lossless(self) -> bool:
        """Whether the samples are the recorded ones."""
        return _is_lossless(self.codec)


class Measured(NamedTuple):
    """How a stream's packets span time, in samples, and how many bytes they hold."""

    samples: int
    packet_bytes: int
    stated: int  # by the container; 0 where it says nothing
    too_close: int  # by how many samples more than one frame the packets would last longer than their times tell


def open_audio(path: Path) -> tuple[InputContainer, AudioStream]:
    """The file and its first audio stream; raises `av.FFmpegError`, or `Malformed` where there is no audio that FFmpeg knows."""
    container = av.open(str(path), format=reader_of(path), options=READERS, metadata_errors="ignore")
    if not container.streams.audio:
        container.close()
        raise Malformed(FailureReason.CHUNK_NOT_AUDIO, 0, "holds no audio")
    stream = container.streams.audio[0]
    if getattr(stream, "codec_context", None) is None or stream.format is None:  # PyAV's types know of neither
        container.close()
        raise corrupt(0, "its header names no codec that is known here")
    return container, stream


def packets_of(container: InputContainer, stream: Stream) -> "Iterator[Packet[Any]]":
    """The stream's packets, and at the end the empty one that has a decoder give what it still holds.

    That end PyAV does not reach where it found a stream on the way, as pictures that begin after the sound; asked again it does.
    """
    try:
        yield from container.demux(stream)
    except IndexError:
        yield from container.demux(stream)


def read_format(path: Path) -> Format:
    """Codec and layout of a file's audio."""
    container, stream = open_audio(path)
    with container:
        context = stream.codec_context
        if context.sample_rate not in SAMPLE_RATES_HZ:
            raise corrupt(0, f"says that it was recorded at {context.sample_rate} Hz")
        bits = _flac_bits(path) or (stream.format.bits if _is_lossless(context.name) else 0)
        return Format(context.codec.canonical_name, context.sample_rate, context.channels, bits, context.layout.name)


def _is_lossless(codec: str) -> bool:
    return codec in _LOSSLESS or codec.startswith("pcm_")


def _flac_bits(path: Path) -> int:
    """Bits per sample of a FLAC file, which its demuxer does not tell before a frame is decoded; 0 for any other."""
    with ByteStream([path]) as stream:
        return flac.scan(stream).bits if flac.starts(stream.read_at(0, 64)) else 0


def measure(path: Path) -> Measured:
    """The true length by the packets' times, which the container's own word for its length may only confirm.

    Without it AAC in MP4 would keep the padding of its last frame: 13 ms more with every chunk.
    """
    container, stream = open_audio(path)
    with container:
        end, size, count, begin = 0, 0, 0, None
        for packet in packets_of(container, stream):
            if packet.size and packet.pts is not None:
                begin = packet.pts if begin is None else begin
                end = max(end, packet.pts + (packet.duration or 0))
                size, count = size + packet.size, count + 1
        frame = stream.codec_context.frame_size or 0
        assert stream.time_base is not None
        clock = stream.time_base * stream.codec_context.sample_rate
        samples = round((end - max(0, stream.start_time or 0)) * clock)
        stated = round((stream.duration or 0) * clock)
        too_close = max(0, (count - 1) * frame - round((end - (begin or 0)) * clock))
        return Measured(stated if 0 < samples - stated <= 2 * (frame or 1024) else samples, size, stated, too_close)


def frames(path: Path, limit: int | None) -> Iterator[AudioFrame]:
    """The decoded frames, at most `limit` samples of them, the last one cut short.

    A packet that cannot be decoded raises `Malformed`: cut off when it is the last one, corrupt when more follow. So does a file
    of no packets at all: it is empty.
    """
    container, stream = open_audio(path)
    with container:
        if stream.codec_context.name == "flac":
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        left = limit if limit is not None else 1 << 62
        packets = packets_of(container, stream)
        packet = next(packets, None)
        if packet is None or not packet.size:  # what ends the decoding, with nothing before it
            raise Malformed(FailureReason.CHUNK_EMPTY, 0, "headers without audio")
        while packet is not None:
            following = next(packets, None)
            for frame in _decoded(packet, following):
                if left <= 0:
                    break
                yield frame if frame.samples <= left else _cut(frame, 0, left)
                left -= frame.samples
            packet = following


def frames_between(path: Path, begin: Fraction, length: Fraction) -> Iterator[AudioFrame]:
    """The decoded frames of `length` seconds of audio from `begin` on, the first and the last one cut to fit."""
    rate = read_format(path).rate
    skip = round(begin * rate)
    for frame in frames(path, skip + round(length * rate)):
        if frame.samples > skip:
            yield _cut(frame, skip, frame.samples) if skip else frame
        skip = max(0, skip - frame.samples)


def _decoded(packet: "Packet[AudioStream]", following: "Packet[AudioStream] | None") -> list[AudioFrame]:
    try:
        return packet.decode()
    except av.FFmpegError as fault:
        if following is None or not following.size:
            if not any(bytes(packet)):
                return []  # what a block of flash memory holds behind the end of an MP3
            raise truncated(packet.pos or 0, "the last packet") from fault
        raise corrupt(packet.pos or 0, f"a packet cannot be decoded ({fault.strerror})") from fault


def _cut(frame: AudioFrame, begin: int, end: int) -> AudioFrame:
    values = 1 if frame.format.is_planar else len(frame.layout.channels)  # of one sample, in one row
    kept = frame.to_ndarray()[:, begin * values : end * values].copy()
    cut = AudioFrame.from_ndarray(kept, format=frame.format.name, layout=frame.layout.name)
    cut.sample_rate = frame.sample_rate
    return cut
