"""Which of FFmpeg's demuxers reads a file, where its own guess is not to be trusted."""

from pathlib import Path

from shared.domain.audio_frames import adts_frame, id3_size, mp3_frame

_HEAD_BYTES = 10
_FRAMED = {"mp3": mp3_frame, "aac": adts_frame}


def reader_of(path: Path) -> str | None:
    """Return the demuxer of a file of MP3 or ADTS frames; None of any other, which FFmpeg knows by its header.

    Of a few frames it often thinks something else, and does not read them then: the last chunk of a recording may be as short.
    """
    with path.open("rb") as file:

        def read_at(offset: int) -> bytes:
            file.seek(offset)
            return file.read(_HEAD_BYTES)

        at = 0
        while more := id3_size(read_at(at)):
            at += more
        head = read_at(at)
        for reader, parse in _FRAMED.items():
            frame = parse(head)
            if frame is not None and (not (behind := read_at(at + frame.size)) or parse(behind) is not None):
                return reader
    return None
