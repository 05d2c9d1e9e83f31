"""Ogg pages (RFC 3533): read with their checksum, write, and find the end of a file."""

import zlib
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.malformed import corrupt, truncated

CONTINUED, FIRST, LAST = 1, 2, 4
FULL_LACE = 255  # a packet whose lace is full goes on in the next

_HEADER = Struct("<4sBBqIIIB")
_MAGIC = b"OggS"
_REVERSED_BYTE = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


class Page(NamedTuple):
    """One page; `granule` is signed, -1 where no packet ends on the page."""

    offset: int
    flags: int
    granule: int
    serial: int
    sequence: int
    lacing: bytes
    body: bytes

    @property
    def end(self) -> int:
        """The offset of the first byte after the page."""
        return self.offset + _HEADER.size + len(self.lacing) + len(self.body)


def checksum(data: bytes) -> int:
    """Ogg's CRC-32 (polynomial 0x04c11db7, not reflected, no inversion).

    zlib computes the reflected one at full speed: reverse the bits of every byte, start from zero, reverse the result.
    """
    reflected = zlib.crc32(data.translate(_REVERSED_BYTE), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REVERSED_BYTE), "big")


def pages(stream: ByteStream, offset: int = 0, *, verify: bool = True) -> Iterator[Page]:
    """Every page from `offset` on; ends quietly where no page begins (compare `Page.end` with the size)."""
    while (header := stream.read_at(offset, _HEADER.size)).startswith(_MAGIC):
        if len(header) < _HEADER.size:
            raise truncated(stream.size, "an Ogg page header")
        _, version, flags, granule, serial, sequence, crc, segments = _HEADER.unpack(header)
        lacing = stream.read_at(offset + _HEADER.size, segments)
        length = sum(lacing)
        body = stream.read_at(offset + _HEADER.size + segments, length)
        if len(lacing) < segments or len(body) < length:
            raise truncated(stream.size, "an Ogg page")
        if version != 0 or (verify and checksum(header[:22] + bytes(4) + header[26:] + lacing + body) != crc):
            raise corrupt(offset, "an Ogg page has a wrong checksum")
        page = Page(offset, flags, granule, serial, sequence, lacing, body)
        yield page
        offset = page.end
    if header and len(header) < len(_MAGIC) and _MAGIC.startswith(header):
        raise truncated(stream.size, "an Ogg page header")


def encode_page(page: Page) -> bytes:
    """The page as bytes, with its checksum; `offset` plays no part."""
    fields = (_MAGIC, 0, page.flags, page.granule, page.serial, page.sequence & 0xFFFFFFFF)
    head = _HEADER.pack(*fields, 0, len(page.lacing)) + page.lacing
    crc = checksum(head + page.body)
    return head[:22] + crc.to_bytes(4, "little") + head[26:] + page.body


def starts(head: bytes) -> bool:
    """Whether a file (a logical stream's first page) begins here, not merely some page."""
    return head.startswith(_MAGIC + b"\0") and len(head) > _HEADER.size and bool(head[5] & FIRST)


def mime(head: bytes) -> str:
    """Video where a Theora header is in sight."""
    return "video/ogg" if b"\x80theora" in head[:256] else "audio/ogg"


def walk(stream: ByteStream) -> int:
    """The offset at which the file that starts at 0 ends; raises `Malformed` where its pages stop making sense.

    A stream without its last-page flag but with whole pages is complete: devices lose power.
    """
    open_serials: set[int] = set()
    in_data, end = False, 0
    for page in pages(stream):
        if page.flags & FIRST:
            if in_data:
                return page.offset  # a second link: another file chained behind this one
            open_serials.add(page.serial)
        else:
            in_data = True
        if page.flags & LAST:
            open_serials.discard(page.serial)
        end = page.end
    if end < stream.size and open_serials:
        raise corrupt(end, "no Ogg page where the next one should begin")
    return end
