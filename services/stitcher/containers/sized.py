"""AIFF, CAF and AU: enough to see where a file ends. Their decoders take what is there for all there ever was."""

from struct import Struct
from typing import Any

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.chunks import UNSIZED, is_name
from services.stitcher.containers.malformed import corrupt, truncated

_AIFF_CHUNK, _CAF_CHUNK, _AU_HEADER = Struct(">4sI"), Struct(">4sq"), Struct(">4sII")
_FIRST_IN_AIFF, _FIRST_IN_CAF = 12, 8


def walk_aiff(stream: ByteStream) -> int:
    """The offset at which the AIFF or AIFF-C that starts at 0 ends; raises `Malformed` where it is cut."""
    _, form = _read(stream, 0, _AIFF_CHUNK)
    end = min(stream.size, _AIFF_CHUNK.size + form if _known(form) else stream.size)
    offset, names = _FIRST_IN_AIFF, set[bytes]()
    while offset < end:
        if _is_over(stream, offset, b"FORM"):
            break
        name, size = _read(stream, offset, _AIFF_CHUNK)
        names.add(_checked(name, offset))
        if name == b"SSND" and not _known(size):
            return stream.size
        offset += _AIFF_CHUNK.size + size
        if offset > stream.size:
            raise truncated(stream.size, f"the AIFF chunk {name.decode()}")
        offset += size & 1
    if b"SSND" not in names:
        raise truncated(stream.size, "an AIFF without its samples")
    return min(offset, stream.size)  # the last byte of padding is left out by some


def walk_caf(stream: ByteStream) -> int:
    """The offset at which the CAF that starts at 0 ends; raises `Malformed` where it is cut."""
    offset, names = _FIRST_IN_CAF, set[bytes]()
    while offset < stream.size:
        if _is_over(stream, offset, b"caff"):
            break
        name, size = _read(stream, offset, _CAF_CHUNK)
        names.add(_checked(name, offset))
        if size < 0:
            if name == b"data":
                return stream.size
            raise corrupt(offset, "a CAF chunk without a size")
        offset += _CAF_CHUNK.size + size
        if offset > stream.size:
            raise truncated(stream.size, f"the CAF chunk {name.decode()}")
    if b"data" not in names:
        raise truncated(stream.size, "a CAF without its samples")
    return offset


def walk_au(stream: ByteStream) -> int:
    """The offset at which the AU that starts at 0 ends; raises `Malformed` where it is cut."""
    header: int
    size: int
    _, header, size = _read(stream, 0, _AU_HEADER)
    if not _known(size):
        return stream.size
    if header + size > stream.size:
        raise truncated(stream.size, "the AU data")
    return header + size


def _is_over(stream: ByteStream, offset: int, magic: bytes) -> bool:
    """Whether another file begins here, or there is only padding."""
    name = stream.read_at(offset, len(magic))
    return name == magic or not any(name)


def _read(stream: ByteStream, offset: int, form: Struct) -> tuple[Any, ...]:
    header = stream.read_at(offset, form.size)
    if len(header) < form.size:
        raise truncated(stream.size, "a header")
    return form.unpack(header)


def _known(size: int) -> bool:
    return 0 < size < UNSIZED  # nothing, too, stands for a size that was not known


def _checked(name: bytes, offset: int) -> bytes:
    if not is_name(name):
        raise corrupt(offset, "no chunk where the next one should begin")
    return name
