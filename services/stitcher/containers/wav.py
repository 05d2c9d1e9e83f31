"""RIFF/WAVE and RF64: read the header, find the samples, write a header for samples of any length."""

from struct import Struct

import msgspec

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.chunks import UNSIZED, is_name
from services.stitcher.containers.malformed import corrupt, truncated
from shared.domain.media import SAMPLE_RATES_HZ

PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_CHUNK = Struct("<4sI")
_FORMAT = Struct("<HHIIHH")
_RIFF_LIMIT = 0xFFFFFFFF
_CHANNELS = range(1, 256)
_CODECS = {
    (PCM, 8): "pcm_u8",
    (PCM, 16): "pcm_s16le",
    (PCM, 24): "pcm_s24le",
    (PCM, 32): "pcm_s32le",
    (FLOAT, 32): "pcm_f32le",
    (FLOAT, 64): "pcm_f64le",
    (ALAW, 8): "pcm_alaw",
    (MULAW, 8): "pcm_mulaw",
}


class Wav(msgspec.Struct):
    """Where the samples of a WAV are and how they are written."""

    layout: bytes  # the body of the `fmt ` chunk
    tag: int
    channels: int
    rate: int
    block: int  # bytes per sample of all channels
    bits: int
    data_offset: int
    data_size: int  # whole blocks that are really there
    sized: bool  # the header knows how long the data is
    end: int
    fact: int = 0  # samples, where the writer of a compressed format says so

    @property
    def codec(self) -> str | None:
        """FFmpeg's name for plain samples; None for compressed ones."""
        return _CODECS.get((self.tag, self.bits))

    @property
    def samples(self) -> int:
        """Samples per channel."""
        return self.data_size // self.block


def starts(head: bytes) -> bool:
    """Whether a WAV begins here."""
    return head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE"


def mime(_: bytes) -> str:
    """Always the one type."""
    return "audio/wav"


def scan(stream: ByteStream) -> Wav:
    """Read the header; raises `Malformed` where the samples it promises are not there."""
    _, riff_size = _CHUNK.unpack(stream.read_at(0, 8))
    layout, long_size, fact, offset = b"", 0, 0, 12
    while len(header := stream.read_at(offset, 8)) == _CHUNK.size:
        name, size = _CHUNK.unpack(header)
        offset += 8
        if name == b"data":
            found = _located(stream, layout, offset, (long_size if size == _RIFF_LIMIT and long_size else size, riff_size))
            found.fact = fact
            return found
        body = stream.read_at(offset, min(size, 64))
        if name == b"fmt ":
            layout = body[:size]
        elif name == b"fact":
            fact = int.from_bytes(body[:4], "little")
        elif name == b"ds64":
            long_size = int.from_bytes(body[8:16], "little")
        offset += size + (size & 1)
    raise truncated(stream.size, "the WAV header")


def _located(stream: ByteStream, layout: bytes, offset: int, sizes: tuple[int, int]) -> Wav:
    if len(layout) < _FORMAT.size:
        raise corrupt(offset, "a WAV without a usable format chunk")
    tag, channels, rate, _, block, bits = _FORMAT.unpack_from(layout)
    if tag == EXTENSIBLE and len(layout) >= 26:  # noqa: PLR2004 - the true tag opens the sub-format's GUID
        tag = int.from_bytes(layout[24:26], "little")
    block_of_samples = channels * bits // 8 if (tag, bits) in _CODECS else block
    if channels not in _CHANNELS or rate not in SAMPLE_RATES_HZ or not block or block != block_of_samples:
        raise corrupt(offset, "the WAV format chunk makes no sense")
    data_size, riff_size = sizes
    there = stream.size - offset
    sized = data_size > 0 and (data_size <= there or data_size < UNSIZED)
    if sized and data_size > there:
        raise truncated(stream.size, "the WAV data")
    sized = sized and _ends_at(stream, offset + data_size, data_size & 1)
    end = stream.size
    if sized:
        padded = offset + data_size + (data_size & 1)
        end = max(min(stream.size, padded), riff_size + 8 if riff_size + 8 <= stream.size else 0)
    size = data_size if sized else there
    return Wav(layout, tag, channels, rate, block, bits, offset, size - size % block, sized, end)


def _ends_at(stream: ByteStream, end: int, padding: int) -> bool:
    """Whether the samples end where the header says: behind them is nothing, or zeros, or what may follow samples in a file.

    More samples are there where a recorder lost its power before it brought the header up to date.
    """
    for at in (end + padding, end):
        behind = stream.read_at(at, _CHUNK.size)
        if len(behind) < _CHUNK.size or behind[:3] in (b"ID3", b"TAG"):
            return True
        if not any(behind):
            return stream.only_zeros_from(at)
        name, size = _CHUNK.unpack(behind)
        if is_name(name) and size <= stream.size - at:
            return True
    return False


def header(wav: Wav, data_size: int) -> bytes:
    """Everything before the samples, for `data_size` bytes in the layout of `wav`; RF64 where RIFF cannot count so far."""
    fact = b"" if wav.tag == PCM else _CHUNK.pack(b"fact", 4) + min(data_size // wav.block, _RIFF_LIMIT).to_bytes(4, "little")
    layout = _CHUNK.pack(b"fmt ", len(wav.layout)) + wav.layout + b"\0" * (len(wav.layout) & 1)
    padded = data_size + (data_size & 1)
    if padded + len(layout) + len(fact) + 64 < _RIFF_LIMIT:
        chunks = layout + fact + _CHUNK.pack(b"data", data_size)
        return _CHUNK.pack(b"RIFF", 4 + len(chunks) + padded) + b"WAVE" + chunks
    rest = layout + fact + _CHUNK.pack(b"data", _RIFF_LIMIT)
    long_sizes = Struct("<QQQI").pack(4 + 36 + len(rest) + padded, data_size, data_size // wav.block, 0)
    return _CHUNK.pack(b"RF64", _RIFF_LIMIT) + b"WAVE" + _CHUNK.pack(b"ds64", len(long_sizes)) + long_sizes + rest
