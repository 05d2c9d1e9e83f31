"""Providers' words as segments: cut where the speaker changes and where sentences end."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Annotated

import msgspec

from services.transcriber.cloud_ports import SpeechOrder
from services.transcriber.providers.sentences import sentences
from shared.domain.transcript import Segment, Transcript, Word, mean_confidence, transcript_of

LONGEST_S = 60 * 24 * 3600
"""Beyond this no answer can be meant: more than any service takes, and what is read of it still fits where it is kept."""

Seconds = Annotated[float, msgspec.Meta(ge=-LONGEST_S, le=LONGEST_S)]
Milliseconds = Annotated[int, msgspec.Meta(ge=-LONGEST_S * 1000, le=LONGEST_S * 1000)]
Length = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)]


class Speakers:
    """Names a provider's speakers `SPEAKER_0`, `SPEAKER_1` … in the order in which they first speak."""

    def __init__(self) -> None:
        self._names: dict[object, str] = {}

    def name(self, label: object) -> str | None:
        """Return the speaker's name; None where the provider gave no label."""
        if label is None:
            return None
        return self._names.setdefault(label, f"SPEAKER_{len(self._names)}")


def on_channel(number: int | None) -> str | None:
    """Return who speaks on a channel, by its number in the file (from 0), whoever speaks first; None where there is no number."""
    return None if number is None or number < 0 else f"SPEAKER_{number}"


def spoken_transcript(words: Sequence[Word], order: SpeechOrder, *, language: str | None, duration_ms: int) -> Transcript:
    """Return the transcript of words in the order in which they were spoken; each carries its own leading space, if any.

    Segments are cut where the speaker changes; where each channel is one, who speaks into another's sentence does not cut it.
    The speaker is named where the order asks who speaks. What a provider takes for the language of silence is no language: then
    that which was given counts, if any.
    """
    turns = (
        _by_channel(words) if order.multichannel else (list(turn) for _, turn in groupby(words, key=lambda word: word.speaker))
    )
    segments = (segment for turn in turns for segment in _segments(turn, named=order.diarization))
    return transcript_of(segments, language=language if words else order.language, duration_ms=duration_ms)


def _by_channel(words: Iterable[Word]) -> Iterable[list[Word]]:
    channels: dict[str | None, list[Word]] = {}
    for word in words:
        channels.setdefault(word.speaker, []).append(word)
    return channels.values()


def _segments(turn: Sequence[Word], *, named: bool) -> Iterator[Segment]:
    """Yield the sentences of one speaker."""
    speaker = turn[0].speaker if named else None
    said = tuple(msgspec.structs.replace(word, speaker=speaker) for word in turn)
    text = "".join(word.word for word in said)
    whole = Segment(start=said[0].start, end=said[-1].end, text=text, confidence=mean_confidence(said), words=said)
    for sentence in sentences(whole):
        yield msgspec.structs.replace(sentence, speaker=speaker)
