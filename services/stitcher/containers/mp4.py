"""MP4 boxes (ISO 14496-12): enough to see where a file ends and whether its index is there."""

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.chunks import is_name
from services.stitcher.containers.malformed import corrupt, truncated

_HEADER = 8  # size and name
_COPYRIGHT = b"\xa9"  # with which names of boxes may begin
_AUDIO_BRANDS = (b"M4A ", b"M4B ", b"M4P ")


def starts(head: bytes) -> bool:
    """Whether an MP4 begins here."""
    return head[4:8] == b"ftyp" and _HEADER <= int.from_bytes(head[:4], "big") <= 1 << 12


def mime(head: bytes) -> str:
    """Audio or video: by the handlers of its tracks when the index is in sight, else by its brand."""
    if b"hdlr" in head:
        return "video/mp4" if b"vide" in head else "audio/mp4"
    return "audio/mp4" if head[8:12] in _AUDIO_BRANDS else "video/mp4"


def walk(stream: ByteStream) -> int:
    """The offset at which the file that starts at 0 ends; raises `Malformed` where a box is cut or the index is missing."""
    offset, names = 0, set[bytes]()
    while offset < stream.size:
        size, name = _box(stream, offset)
        if (name == b"ftyp" and offset) or not name:
            break  # another file, or padding
        if offset + size > stream.size:
            raise truncated(stream.size, f"the MP4 box {name.decode('latin-1')}")
        names.add(name)
        offset += size
    if b"moov" not in names:
        raise truncated(stream.size, "an MP4 without its index (moov)")
    return offset


def _box(stream: ByteStream, offset: int) -> tuple[int, bytes]:
    """Size and name of the box at `offset`; no name where there is only padding."""
    header = stream.read_at(offset, 16)
    if len(header) < _HEADER:
        if any(header):
            raise truncated(stream.size, "an MP4 box header")
        return len(header), b""
    size, name = int.from_bytes(header[:4], "big"), header[4:8]
    named = is_name(name.replace(_COPYRIGHT, b" "))
    if size == 0:  # to the end, or a few zeros and then another file
        return stream.size - offset, name if named else b""
    if size == 1:
        size = int.from_bytes(header[8:16], "big")
    if size < _HEADER or not named:
        raise corrupt(offset, "no MP4 box where the next one should begin")
    return size, name
