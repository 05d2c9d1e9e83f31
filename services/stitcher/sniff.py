"""What kind of file some bytes begin: magic numbers, checked as far as the bytes at hand allow."""

from collections.abc import Callable

from services.stitcher.containers import flac, frames, mp4, ogg, wav, webm
from shared.domain.audio_frames import adts_frame, id3_size, mp3_frame

_Reads = tuple[Callable[[bytes], bool], Callable[[bytes], str]]
_CONTAINERS: tuple[_Reads, ...] = tuple((module.starts, module.mime) for module in (ogg, wav, flac, mp4, webm))
_OTHERS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"#!AMR": "audio/amr",
    b"caff": "audio/x-caf",
    b".snd": "audio/basic",
}


def sniff(head: bytes) -> str | None:
    """The MIME type of the file these first bytes (64 KiB are plenty) begin, or None for none we know.

    Frames without a header (MP3, ADTS) count only when several follow one another.
    """
    for starts, mime in _CONTAINERS:
        if starts(head):
            return mime(head)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    other = next((mime for magic, mime in _OTHERS.items() if head.startswith(magic)), None)
    return other or _framed(head)


def _framed(head: bytes) -> str | None:
    tag = 0
    while more := id3_size(head[tag : tag + 10]):
        tag += more
    if tag >= len(head):
        return "audio/mpeg" if tag else None  # the tag fills all we see; MP3 is what carries one
    if frames.proven(head, mp3_frame, at=tag):
        return "audio/mpeg"
    return "audio/aac" if frames.proven(head, adts_frame, at=tag) else None


def family(mime: str) -> str:
    """The container of a MIME type, audio or video alike."""
    return mime.partition("/")[2]
