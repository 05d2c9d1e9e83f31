"""FLAC metadata (RFC 9639): what it says of the samples, and that it is whole."""

import msgspec

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.malformed import corrupt, truncated

_STREAMINFO_SIZE = 34


class Flac(msgspec.Struct):
    """What STREAMINFO says; `samples` 0 means the writer did not know."""

    bits: int
    samples: int


def starts(head: bytes) -> bool:
    """Whether a FLAC begins here: the marker and a STREAMINFO block of its only possible size."""
    return head[:8] in (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")


def mime(_: bytes) -> str:
    """Always the one type."""
    return "audio/flac"


def scan(stream: ByteStream) -> Flac:
    """Read the metadata blocks; raises `Malformed` where they are cut."""
    info = stream.read_at(8, _STREAMINFO_SIZE)
    if len(info) < _STREAMINFO_SIZE:
        raise truncated(stream.size, "the FLAC header")
    packed = int.from_bytes(info[10:18], "big")
    if packed >> 44 == 0:  # the sample rate
        raise corrupt(8, "the FLAC header names no sample rate")
    offset, last = 4, False
    while not last:
        header = stream.read_at(offset, 4)
        if len(header) < 4:  # noqa: PLR2004 - a block header
            raise truncated(stream.size, "the FLAC header")
        last = bool(header[0] & 0x80)
        offset += 4 + int.from_bytes(header[1:], "big")
    if offset >= stream.size:
        raise truncated(stream.size, "the FLAC audio")
    return Flac((packed >> 36 & 31) + 1, packed & ((1 << 36) - 1))
