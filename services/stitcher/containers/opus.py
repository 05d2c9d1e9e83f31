"""Opus in Ogg (RFC 7845): the identification header, packet durations, and one scan that tells what a stream holds."""

from collections.abc import Iterator
from itertools import accumulate

import msgspec

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.malformed import corrupt
from services.stitcher.containers.ogg import CONTINUED, FIRST, FULL_LACE, LAST, Page, encode_page, pages, starts

CLOCK = 48_000  # granules and packet durations count in this, whatever the codec runs at
_HEAD_SIZE = 19
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
_FRAME = [*_SILK * 3, *_HYBRID * 2, *_CELT * 4]  # samples per frame, by configuration number
# Decoding at this rate loses nothing of a packet of that configuration (narrow, medium, wide, super-wide, full band).
_RATE = [*[8000] * 4, *[12000] * 4, *[16000] * 4, *[24000] * 2, *[48000] * 2]
_RATE += [*[8000] * 4, *[16000] * 4, *[24000] * 4, *[48000] * 4]
_SINGLE = [_FRAME[toc >> 3] * (1, 2, 2, 0)[toc & 3] for toc in range(256)]


class OpusStream(msgspec.Struct):
    """What one logical Opus stream holds; samples are at 48 kHz."""

    channels: int
    pre_skip: int
    input_rate: int
    gain: int  # in 1/256 dB, what decoders have to add
    family: int
    audio_offset: int = 0  # of the first audio page
    end: int = 0  # of the last page
    serial: int = 0
    first: int = 0  # the granule before the first packet; not 0 when the stream goes on from another
    last: int = 0  # the granule after the last packet, end trimming applied
    packet_samples: int = 0  # sum over the packets, before any trimming
    packet_bytes: int = 0
    rate: int = 8000  # the lowest at which decoding loses nothing
    contiguous: bool = True  # page sequence numbers have no gap

    @property
    def samples(self) -> int:
        """The true length: what remains after pre-skip and end trimming."""
        return max(0, self.last - self.first - self.pre_skip)

    @property
    def working_rate(self) -> int:
        """The rate to decode at: what the packets' bandwidth needs, and no more than was recorded.

        Encoders with bits to spare code full band around speech sampled at 16 kHz; the header names the rate it came with.
        """
        recorded = next((rate for rate in (16_000, 24_000) if 0 < self.input_rate <= rate), CLOCK)
        return min(self.rate, recorded)


def is_opus(stream: ByteStream, offset: int = 0) -> bool:
    """Whether a file begins here that is Ogg with Opus as its only logical stream."""
    head = stream.read_at(offset, 28 + _HEAD_SIZE + 6)
    return starts(head) and head[28:36] == b"OpusHead" and head[28 + _HEAD_SIZE + 5 :][:1] != b"\x02"


def packet_samples(packet: bytes) -> int:
    """How long a packet lasts at 48 kHz, from its table-of-contents byte."""
    if not packet:
        return 0
    toc = packet[0]
    if toc & 3 != 3:  # noqa: PLR2004 - code 3 counts its frames in the second byte
        return _SINGLE[toc]
    return _FRAME[toc >> 3] * (packet[1] & 63) if len(packet) > 1 else 0


def lossless_rate(packet: bytes) -> int:
    """The lowest rate at which decoding the packet loses nothing of its bandwidth."""
    return _RATE[packet[0] >> 3]


def packets(page_run: Iterator[Page]) -> Iterator[bytes]:
    """The packets of one logical stream, those that span pages put together again."""
    pending = b""
    for page in page_run:
        start = end = 0
        if not page.flags & CONTINUED:
            pending = b""
        for lace in page.lacing:
            end += lace
            if lace < FULL_LACE:
                yield pending + page.body[start:end] if pending else page.body[start:end]
                pending, start = b"", end
        if start < end:
            pending += page.body[start:end]


def audio_pages(stream: ByteStream, found: OpusStream, *, verify: bool = False) -> Iterator[Page]:
    """The audio pages of a scanned stream, its headers left out."""
    for page in pages(stream, found.audio_offset, verify=verify):
        if page.offset >= found.end:
            return
        yield page


def links(stream: ByteStream) -> list[OpusStream]:
    """Read a file and those of the same kind that are chained behind it; raises `Malformed` where one is broken."""
    found = [scan(stream)]
    while is_opus(stream, found[-1].end):
        found.append(scan(stream, found[-1].end))
    return found


def scan(stream: ByteStream, offset: int = 0) -> OpusStream:
    """Read a whole Ogg-Opus file: what it holds and where it ends; raises `Malformed` where it is broken."""
    run = pages(stream, offset)
    first = next(run, None)
    if first is None or not first.flags & FIRST:
        raise corrupt(offset, "no Opus identification header")
    found = identified(first.body)
    found.audio_offset = found.end = first.end
    found.serial = first.serial
    scanner = _Scanner(found)
    complete = False
    for page in run:
        if page.flags & FIRST:
            break  # another file chained behind this one
        scanner.take(page)
        found.end = page.end
        complete = bool(page.flags & LAST)
    if found.end < stream.size and not complete and not starts(stream.read_at(found.end, 64)):
        raise corrupt(found.end, "no Ogg page where the next one should begin")
    scanner.close()
    return found


def identified(head: bytes) -> OpusStream:
    """What the identification header says."""
    if len(head) < _HEAD_SIZE or head[9] == 0 or head[8] >> 4:
        raise corrupt(0, "the Opus identification header makes no sense")
    pre_skip, input_rate = int.from_bytes(head[10:12], "little"), int.from_bytes(head[12:16], "little")
    return OpusStream(head[9], pre_skip, input_rate, int.from_bytes(head[16:18], "little", signed=True), head[18])


class _Scanner:
    """Adds up pages; the comment header, which may span pages, comes first."""

    def __init__(self, found: OpusStream) -> None:
        self._found = found
        self._in_tags = True
        self._sequence = -1
        self._page_samples = 0
        self._dated = False
        self._configurations: set[int] = set()
        self._carried: bytes = b""

    def take(self, page: Page) -> None:
        found = self._found
        if self._sequence >= 0 and page.sequence != (self._sequence + 1) & 0xFFFFFFFF:
            found.contiguous = False
        self._sequence = page.sequence
        if self._in_tags:
            self._in_tags = not any(lace < FULL_LACE for lace in page.lacing)
            found.audio_offset = page.end
            return
        self._page_samples = self._measure(page)
        found.packet_samples += self._page_samples
        if page.granule >= 0:
            if not self._dated:
                found.first = max(0, page.granule - found.packet_samples)
            self._dated, found.last = True, page.granule

    def close(self) -> None:
        """Settle length and rate. A granule no end trimming can explain is a muxer's fault: the packets decide."""
        found = self._found
        trim = found.first + found.packet_samples - found.last
        if not 0 <= trim <= max(self._page_samples, CLOCK // 8):
            found.last = found.first + found.packet_samples
        found.rate = max((_RATE[number] for number in self._configurations), default=found.rate)

    def _measure(self, page: Page) -> int:
        """The samples of the packets that end on the page; spanning packets count where they end."""
        self._found.packet_bytes += len(page.body)
        if not self._carried and not page.flags & CONTINUED and (total := self._measure_plain(page)) is not None:
            return total
        total = start = end = 0
        pending, body = self._carried if page.flags & CONTINUED else b"", page.body
        for lace in page.lacing:
            end += lace
            if lace == FULL_LACE:
                continue
            if end > start or pending:
                head = (pending + body[start : min(end, start + 2)])[:2]
                total += packet_samples(head)
                self._configurations.add(head[0] >> 3)
            pending, start = b"", end
        self._carried = (pending + body[start : start + 2])[:2] if start < end or pending else b""
        return total

    def _measure_plain(self, page: Page) -> int | None:
        """The same for the page nearly every page is, ten times as fast: short packets, none spanning, of one layout."""
        if FULL_LACE in page.lacing or 0 in page.lacing:
            return None
        tocs = bytes(map(page.body.__getitem__, list(accumulate(page.lacing, initial=0))[:-1]))
        kinds = set(tocs)
        if any(toc & 3 == 3 for toc in kinds):  # noqa: PLR2004
            return None
        self._configurations.update(toc >> 3 for toc in kinds)
        return sum(tocs.count(toc) * _SINGLE[toc] for toc in kinds)


def header_pages(serial: int, channels: int, pre_skip: int, input_rate: int) -> bytes:
    """The two pages every Ogg-Opus file begins with (mapping family 0: mono or stereo)."""
    head = b"OpusHead\x01" + bytes([channels]) + pre_skip.to_bytes(2, "little") + input_rate.to_bytes(4, "little") + bytes(3)
    vendor = b"earwitness"
    tags = b"OpusTags" + len(vendor).to_bytes(4, "little") + vendor + bytes(4)
    first = Page(0, FIRST, 0, serial, 0, bytes([len(head)]), head)
    return encode_page(first) + encode_page(Page(0, 0, 0, serial, 1, bytes([len(tags)]), tags))
