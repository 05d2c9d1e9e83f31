"""A transcript as text, SubRip and WebVTT: what each format calls for, and what must not be taken for its syntax."""

import re
from itertools import groupby

from services.ingest.exports.captions import Cue, cues_of
from services.ingest.exports.columns import cleaned
from services.ingest.exports.pieces import label_of
from shared.domain.transcript import Transcript

_WORD_JOINER = "\u2060"  # seen by no reader, and no player takes what follows it for a tag
_LIKE_A_TAG = re.compile(r"([<{])(?=[/\\A-Za-z])")


def as_text(transcript: Transcript) -> str:
    """Return a paragraph for each turn of a speaker, or for each segment where speakers are not told apart."""
    turns = groupby(enumerate(transcript.segments), key=lambda item: item[1].speaker or item[0])
    paragraphs = [[segment for _, segment in turn] for _, turn in turns]
    lines = [
        label_of(paragraph[0].speaker) + " ".join(filter(None, (cleaned(segment.text) for segment in paragraph)))
        for paragraph in paragraphs
    ]
    return "".join(f"{line}\n" for line in lines)


def as_srt(transcript: Transcript) -> str:
    """Return SubRip; what looks like a tag is kept from being one."""
    cues = enumerate(cues_of(transcript), start=1)
    return "".join(f"{number}\n{_times(cue, ',')}\n{_srt_text(cue)}\n\n" for number, cue in cues)


def as_vtt(transcript: Transcript) -> str:
    """Return WebVTT, with who speaks as the voice of each cue."""
    return "".join(["WEBVTT\n", *(f"\n{_times(cue, '.')}\n{_vtt_text(cue)}\n" for cue in cues_of(transcript))])


def _srt_text(cue: Cue) -> str:
    text = cue.label + "\n".join(cue.lines)
    return _LIKE_A_TAG.sub(rf"\1{_WORD_JOINER}", text.replace("-->", "→"))


def _vtt_text(cue: Cue) -> str:
    text = "\n".join(map(_escaped, cue.lines))
    return text if cue.speaker is None else f"<v {_escaped(cleaned(cue.speaker))}>{text}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _times(cue: Cue, point: str) -> str:
    return f"{_time(cue.start_ms, point)} --> {_time(cue.end_ms, point)}"


def _time(moment_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(moment_ms, 1000)
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{point}{milliseconds:03d}"
