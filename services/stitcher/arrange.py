"""Tells by reading what a row of chunks is: one file cut into byte ranges, or files of their own.

In order:
1. What does the concatenation begin with? Nothing known: the first chunk is no audio.
2. Does any later chunk begin a file: an Ogg first page, RIFF, fLaC, ftyp, EBML, or the tag that opens an MP3 file? Frame sync
   alone, MP3's or ADTS's, does not count: a cut at a frame's edge looks the same, and frames simply go on (`containers.frames`).
3. None does: byte ranges. The container is walked over the concatenation; where it ends early or breaks names the chunk.
4. Some do: byte ranges all the same if the file that begins in chunk 1 says it is as long as all chunks together (samples
   may look like anything); else every chunk must be a file of the kind of the first.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from services.stitcher.adts_runs import Cut
from services.stitcher.bytestream import ByteStream
from services.stitcher.containers import flac, frames, mp4, ogg, opus, sized, wav, webm
from services.stitcher.containers.malformed import Malformed
from services.stitcher.containers.opus import OpusStream
from services.stitcher.containers.wav import Wav
from services.stitcher.faults import locating, mixed, not_audio
from services.stitcher.sniff import family, sniff
from shared.domain.audio_frames import id3_size
from shared.domain.errors import FailureReason, PermanentFailure

HEAD = 1 << 16
_LATER_HEAD = 1 << 13
_WALKS: Mapping[str, Callable[[ByteStream], int]] = {
    "mp4": mp4.walk,
    "webm": webm.walk,
    "x-matroska": webm.walk,
    "aiff": sized.walk_aiff,
    "x-caf": sized.walk_caf,
    "basic": sized.walk_au,
}
"""How to see where a file ends that says so itself."""

_SCANS: Mapping[str, Callable[[ByteStream], frames.Framed]] = {"mpeg": frames.scan_mp3, "aac": frames.scan_adts}
"""How to read what is frames and nothing else."""


class Arrangement(NamedTuple):
    """The kind of file (the part of its MIME type after the slash) and whether the chunks are files of their own."""

    kind: str
    separate: bool
    opus: OpusStream | None = None  # what byte ranges of one Ogg-Opus file hold, unless it is a chain of several
    cuts: Sequence[Cut] | None = None  # what is audio of each, where that is less than decodes
    kept: Sequence[range] | None = None  # the bytes of one stream of frames, where there are zeros as well


def arrange(stream: ByteStream) -> Arrangement:
    """What the chunks are; raises `PermanentFailure` naming the chunk that fits nothing."""
    for number, size in enumerate(stream.sizes, 1):
        if size == 0:
            raise PermanentFailure(FailureReason.CHUNK_EMPTY, f"chunk {number}: no bytes", chunk_number=number)
    mime = sniff(stream.read_at(0, HEAD))
    if mime is None or mime.startswith("image/"):
        raise not_audio(1)
    kind = family(mime)
    tag_end = id3_size(stream.read_at(0, HEAD))  # the frame behind it is the first file's own, wherever a chunk begins
    later = [None if start == tag_end else _begins(stream.read_at(start, _LATER_HEAD), kind) for start in stream.starts[1:]]
    if not any(later) or _declares_all(stream, kind):
        if kind in _SCANS:
            return Arrangement(kind, separate=False, kept=_less_than_all(stream, kind))
        return Arrangement(kind, separate=False, opus=_whole(stream, kind))
    _all_files(stream, kind, later)
    return Arrangement(kind, separate=True)


def _all_files(stream: ByteStream, kind: str, later: list[str | None]) -> None:
    """Every chunk must begin a file of the kind of the first; frames of that kind will do."""
    for number, begun in enumerate(later, 2):
        if begun not in (None, kind):
            raise mixed(number, f"{begun} among {kind}")
    for number, begun in enumerate(later, 2):
        if begun is None:
            other = sniff(stream.read_at(stream.starts[number - 1], HEAD))
            if other is None:
                raise not_audio(number)
            if family(other) != kind:
                raise mixed(number, f"{family(other)} among {kind}")


def _begins(head: bytes, kind: str) -> str | None:
    """The kind of file that surely begins here."""
    tag = id3_size(head)
    if kind == "mpeg" and tag == 0 and frames.has_tag_frame(head):
        return kind
    if tag == 0 and head[:1] == b"\xff":
        return None  # frame sync at best; JPEG at worst, which no chunk between others is
    mime = sniff(head)
    return family(mime) if mime is not None and not mime.startswith("image/") else None


def _declares_all(stream: ByteStream, kind: str) -> bool:
    """Whether the first file is as long as all chunks together, and says so itself."""
    try:
        if kind == "wav":
            found = wav.scan(stream)
            return found.sized and found.end == stream.size
        return kind in _WALKS and _WALKS[kind](stream) == stream.size
    except Malformed:
        return False


def _whole(stream: ByteStream, kind: str) -> OpusStream | None:
    """Check that the bytes are one file to the end; what it holds if that is Opus in Ogg."""
    links: list[OpusStream] = []
    with locating(stream):
        if kind == "ogg" and opus.is_opus(stream):
            links = opus.links(stream)
            if not any(link.packet_samples for link in links):
                raise Malformed(FailureReason.CHUNK_EMPTY, 0, "headers without audio")
        end = links[-1].end if links else check_file(stream, kind)
    _no_chunk_beyond(stream, end)
    return links[0] if len(links) == 1 else None


def _less_than_all(stream: ByteStream, kind: str) -> list[range] | None:
    """Check that the bytes are frames to the end; what of them is not zeros, if some are: FFmpeg's demuxers stumble over a few.

    A whole chunk of zeros is not audio.
    """
    with locating(stream):
        found = _SCANS[kind](stream).ranges
    for number, (start, size) in enumerate(zip(stream.starts, stream.sizes, strict=True), 1):
        if not any(part.start < start + size and start < part.stop for part in found):
            raise not_audio(number)
    return None if found == [range(stream.size)] else found


def check_file(stream: ByteStream, kind: str) -> int:
    """Where the file at the start of the bytes ends; raises `Malformed` when it is cut or broken."""
    match kind:
        case "ogg":
            return ogg.walk(stream)
        case "wav":
            return _end_of_samples(wav.scan(stream))
        case "flac":
            flac.scan(stream)  # the frames are read when the joined file is
        case _ if kind in _WALKS:
            return _WALKS[kind](stream)
        case _ if kind in _SCANS:
            _SCANS[kind](stream)
    return stream.size


def _end_of_samples(found: Wav) -> int:
    if found.data_size == 0:
        raise Malformed(FailureReason.CHUNK_EMPTY, found.data_offset, "a header without samples")
    return found.end


def _no_chunk_beyond(stream: ByteStream, end: int) -> None:
    """A little behind the end of a file is harmless; a whole chunk there is not audio, or of another kind."""
    for number, start in enumerate(stream.starts, 1):
        if start >= end:
            other = sniff(stream.read_at(start, HEAD))
            raise mixed(number, f"{other} behind the end of the first file") if other else not_audio(number)
