"""Providers' words as segments: cut where the speaker changes and where sentences end."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Annotated

import msgspec

from services.transcriber.providers.sentences import sentences
from shared.domain.transcript import Segment, Transcript, Word, mean_confidence, transcript_of

UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue", "zho", "jpn", "tha", "lao", "mya"})
"""Languages written without spaces between words, by the codes that providers use for them."""

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


def is_spaced(language: str | None) -> bool:
    """Say whether the words of `language` are set apart by spaces."""
    return language is None or language.replace("_", "-").partition("-")[0].lower() not in UNSPACED


def spoken_transcript(words: Sequence[Word], *, language: str | None, given: str | None, duration_ms: int) -> Transcript:
    """Return the transcript of words in the order in which they were spoken; each carries its own leading space, if any.

    What a provider takes for the language of silence is no language: then that which was given counts, if any.
    """
    return transcript_of(_segments(words), language=language if words else given, duration_ms=duration_ms)


def _segments(words: Iterable[Word]) -> Iterator[Segment]:
    for speaker, turn in groupby(words, key=lambda word: word.speaker):
        said = tuple(turn)
        text = "".join(word.word for word in said)
        whole = Segment(start=said[0].start, end=said[-1].end, text=text, confidence=mean_confidence(said), words=said)
        for sentence in sentences(whole):
            yield Segment(
                start=sentence.start,
                end=sentence.end,
                text=sentence.text,
                confidence=sentence.confidence,
                words=sentence.words,
                speaker=speaker,
            )
