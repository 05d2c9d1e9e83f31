"""MPEG layer III and ADTS AAC: self-framed streams, walked header by header.

Neither has a file header to tell a first chunk from a later one. An MP3 file of its own is recognised by the ID3 tag or the
Xing/Info/VBRI frame every common encoder puts first; frames without either are taken as one stream going on, which is what
the frames themselves say: with no gapless tag there is nothing an encoder's own decoder would trim either.
"""

from collections.abc import Iterator
from typing import NamedTuple

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.malformed import Malformed, corrupt, truncated
from shared.domain.audio_frames import Frame, Parse, adts_frame, id3_size, mp3_frame
from shared.domain.errors import FailureReason

_ID3V1_SIZE = 128
_PROOF = 3  # so many frames in a row are no accident


def has_tag_frame(head: bytes) -> bool:
    """Whether the MP3 frame these bytes begin with carries a file's Xing, Info or VBRI tag instead of audio."""
    frame = mp3_frame(head)
    return frame is not None and any(tag in head[: min(frame.size, 64)] for tag in (b"Xing", b"Info", b"VBRI"))


def promised_frames(stream: ByteStream) -> int:
    """How many audio frames the Xing or Info tag of an MP3 file counts; 0 where there is none or it does not say."""
    offset = 0
    while size := id3_size(stream.read_at(offset, 10)):
        offset += size
    head = stream.read_at(offset, 64)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if mp3_frame(head[:4]) is None or not 0 <= at <= 40 or not head[at + 7 : at + 8] or not head[at + 7] & 1:  # noqa: PLR2004
        return 0
    return int.from_bytes(head[at + 8 : at + 12], "big")


def proven(head: bytes, parse: Parse, *, at: int = 0) -> bool:
    """Whether frames follow one another from `at`, as far as the bytes reach but at most three; one alone is no proof."""
    seen, first = 0, parse(head[at : at + 8])
    while (frame := parse(head[at : at + 8])) is not None and first is not None and frame.rate == first.rate:
        seen, at = seen + 1, at + frame.size
        if seen == _PROOF or (seen > 1 and at >= len(head)) or at == len(head):
            return True
    return False


class Piece(NamedTuple):
    """A frame of the stream, or what stands between two."""

    offset: int
    size: int
    frame: Frame | None

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + self.size


def pieces(stream: ByteStream, parse: Parse) -> Iterator[Piece]:
    """The frames of the stream, and the tags and zeros between them.

    Raises `Malformed` where a frame is cut, where none follows on the last, and where the format changes.
    """
    offset, before = 0, 0
    first: Frame | None = None
    while offset < stream.size:
        head = stream.read_at(offset, 10)
        frame = parse(head)
        if frame is None:
            size = tag_size(head, stream.size - offset)
            if not size:
                raise _broken(stream, before, offset, parse)
        else:
            first, before, size = first or frame, offset, frame.size
            if (frame.rate, frame.channels) != (first.rate, first.channels):
                raise Malformed(FailureReason.CHUNKS_MIXED, offset, "the sample rate or channel count changes")
            if offset + size > stream.size:
                raise truncated(stream.size, "the last frame")
        yield Piece(offset, size, frame)
        offset += size
    if first is None:
        raise corrupt(0, "no audio frames")


class Framed(NamedTuple):
    """How many frames a stream has, and where they and the tags are: one range unless zeros stand between them."""

    frames: int
    ranges: list[range]


def scan(stream: ByteStream, parse: Parse) -> Framed:
    """Read a stream of frames; raises as `pieces` does."""
    count, ranges = 0, [range(0)]
    for piece in pieces(stream, parse):
        if piece.frame is not None:
            count += 1
        elif stream.read_at(piece.offset, 1) == b"\0":
            continue
        if piece.offset == ranges[-1].stop:
            ranges[-1] = range(ranges[-1].start, piece.end)
        else:
            ranges.append(range(piece.offset, piece.end))
    return Framed(count, [found for found in ranges if found])


def scan_mp3(stream: ByteStream) -> Framed:
    """Read an MP3, and count its frames against its tag, for a cut between two frames leaves no other mark."""
    found = scan(stream, mp3_frame)
    if found.frames < promised_frames(stream):
        raise truncated(stream.size, "the MP3 audio")
    return found


def scan_adts(stream: ByteStream) -> Framed:
    """Read ADTS AAC."""
    return scan(stream, adts_frame)


def tag_size(head: bytes, left: int) -> int:
    """The length of a tag (ID3v2, ID3v1, APE) or of zero padding at the head; 0 when it is none of these."""
    if size := id3_size(head):
        return size
    if head[:3] == b"TAG" and left >= _ID3V1_SIZE:  # the last of a file, but not of those that are joined, or padded
        return _ID3V1_SIZE
    if head[:8] == b"APETAGEX":
        return left
    return len(head) - len(head.lstrip(b"\0"))


def _broken(stream: ByteStream, before: int, offset: int, parse: Parse) -> Malformed:
    """No frame at `offset`: damage, unless frames begin with the chunk into which the one at `before` reaches: that was cut."""
    start = stream.starts[stream.number_at(offset) - 1]
    if before < start < offset and proven(stream.read_at(start, 1 << 13), parse):
        return truncated(start - 1, "the last frame of the chunk")
    return corrupt(offset, "no audio frame where the next one should begin")
