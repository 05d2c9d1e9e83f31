"""EBML elements of WebM and Matroska: enough to see where a file ends, live ones of unknown size included."""

from collections.abc import Iterator

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.malformed import corrupt, truncated

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_SIMPLE_BLOCK, _BLOCK_GROUP = 0xA3, 0xA0
_BLOCK_HEADER = 4  # bytes: track, time and flags
_MAX_LENGTH = 8
# All that may stand in a segment or a cluster; anything else is damage, through which demuxers skip without a word.
_INSIDE = {0xEC, 0xBF, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0x1043A770, 0x1941A469, _CLUSTER}
_INSIDE |= {0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF}


def starts(head: bytes) -> bool:
    """Whether a WebM or Matroska file begins here."""
    return head.startswith(b"\x1aE\xdf\xa3") and (b"webm" in head[:64] or b"matroska" in head[:64])


def mime(head: bytes) -> str:
    """WebM or Matroska, audio or video, as far as the head shows its tracks."""
    kind = "video" if b"\x86\x85V_" in head or b"V_VP" in head or b"V_AV1" in head or b"V_MPEG" in head else "audio"
    return f"{kind}/webm" if b"webm" in head[:64] else f"{kind}/x-matroska"


def walk(stream: ByteStream) -> int:
    """The offset at which the file that starts at 0 ends.

    Segments and clusters are entered (browsers leave their sizes unknown); every other element must fit whole. Zeros behind a
    segment that says where it ends are no part of the file; in one that does not they are damage.
    """
    return max((end for _, _, end in _elements(stream)), default=0)


def blocks(stream: ByteStream) -> int:
    """How many blocks the file that starts at 0 has, each of one packet or more: demuxers skip damaged ones without a word.

    Empty ones, by which some muxers tell of silence, hold none.
    """
    filled = (element for element, size, _ in _elements(stream) if size is None or size > _BLOCK_HEADER)
    return sum(element in (_SIMPLE_BLOCK, _BLOCK_GROUP) for element in filled)


def _elements(stream: ByteStream) -> Iterator[tuple[int, int | None, int]]:
    """The id and size of every element, and the offset up to which the file is known with it."""
    offset, segment_end = 0, None
    while offset < stream.size:
        if segment_end is not None and offset >= segment_end and stream.only_zeros_from(offset):
            return
        element, size, body = _element(stream, offset)
        if element == _EBML and offset:
            return
        if size is not None and body + size > stream.size:
            raise truncated(stream.size, "a WebM element")
        if element in (_SEGMENT, _CLUSTER):
            if element == _SEGMENT:
                segment_end = None if size is None else body + size
            offset = body
        elif size is None:
            raise corrupt(offset, "a WebM element without a size")
        else:
            offset = body + size
        yield element, size, offset


def _element(stream: ByteStream, offset: int) -> tuple[int, int | None, int]:
    """Id, size (None: unknown) and body offset of the element at `offset`."""
    head = stream.read_at(offset, 4 + _MAX_LENGTH)
    id_length = _MAX_LENGTH + 1 - head[0].bit_length()
    if id_length > 4:  # noqa: PLR2004 - the longest id Matroska allows
        raise corrupt(offset, "no WebM element where the next one should begin")
    if len(head) <= id_length:
        raise truncated(stream.size, "a WebM element header")
    length = _MAX_LENGTH + 1 - head[id_length].bit_length()
    if length > _MAX_LENGTH:
        raise corrupt(offset, "a WebM element with a broken size")
    end = id_length + length
    if len(head) < end:
        raise truncated(stream.size, "a WebM element header")
    size = int.from_bytes(head[id_length:end], "big") & ((1 << 7 * length) - 1)
    unknown = size == (1 << 7 * length) - 1
    element = int.from_bytes(head[:id_length], "big")
    if offset and element not in (_EBML, _SEGMENT, *_INSIDE):
        raise corrupt(offset, "no WebM element where the next one should begin")
    return element, None if unknown else size, offset + end
