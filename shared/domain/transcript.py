"""What was said, when and how surely: the one form in which every provider's answer is kept and served (contract A13)."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

SHORTEST_S = 0.01  # a word that a provider gave no length is made this long
PLACES = 3  # times and confidences are kept to the millisecond and the thousandth


class Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One word with its punctuation; seconds from the start of the audio, `end > start`. No `speaker` when not diarized."""

    word: str
    start: float
    end: float
    confidence: float | None
    speaker: str | None = None


class Segment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch of speech, ordered by `start`; it spans its words, which are empty where the provider gives none."""

    start: float
    end: float
    text: str
    confidence: float | None
    words: tuple[Word, ...]
    speaker: str | None = None


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it; silence is an empty text without segments. `confidence` is the mean over the words.

    `language` is the code given or detected, and absent when nothing was said and none was given.
    """

    text: str
    language: str | None
    duration_ms: int
    segments: tuple[Segment, ...]
    confidence: float | None
    word_count: int

    @property
    def speaker_count(self) -> int | None:
        """How many speakers were told apart; None when none were."""
        return len({segment.speaker for segment in self.segments if segment.speaker is not None}) or None


def transcript_of(segments: Iterable[Segment], *, language: str | None, duration_ms: int) -> Transcript:
    """The transcript of what a provider answered, made to hold what the types above promise.

    Blank words and segments go; times are clamped to the audio, rounded, ordered, and given a length. Doing it twice
    changes nothing.
    """
    kept = (tidied(segment, duration_ms / 1000) for segment in segments)
    ordered = sorted((segment for segment in kept if segment is not None), key=lambda segment: (segment.start, segment.end))
    return Transcript(
        text=" ".join(segment.text for segment in ordered),
        language=language,
        duration_ms=duration_ms,
        segments=tuple(ordered),
        confidence=mean_confidence([word for segment in ordered for word in segment.words] or ordered),
        word_count=sum(len(segment.words) or len(segment.text.split()) for segment in ordered),
    )


def tidied(segment: Segment, duration_s: float) -> Segment | None:
    """The segment with ordered words and a length of its own, or nothing if it says nothing."""
    text = segment.text.strip()
    if not text:
        return None
    words = _tidied_words(segment.words, duration_s)
    spans = [(word.start, word.end) for word in words] or [_span(segment.start, segment.end, 0.0, duration_s)]
    return Segment(
        start=spans[0][0],
        end=max(end for _, end in spans),
        text=text,
        confidence=_certainty(segment.confidence),
        words=words,
        speaker=segment.speaker,
    )


def _tidied_words(words: Iterable[Word], duration_s: float) -> tuple[Word, ...]:
    tidy: list[Word] = []
    for word in words:
        text = word.word.strip()
        if not text:
            continue
        start, end = _span(word.start, word.end, tidy[-1].start if tidy else 0.0, duration_s)
        confidence = _certainty(word.confidence)
        tidy.append(Word(word=text, start=start, end=end, confidence=confidence, speaker=word.speaker))
    return tuple(tidy)


def _span(start: float, end: float, earliest: float, latest: float) -> tuple[float, float]:
    """The times within the audio, not before `earliest`, and with a length; only the length may reach past `latest`."""
    begin = round(max(earliest, min(start, latest - SHORTEST_S), 0.0), PLACES)
    return begin, round(max(min(end, latest), begin + SHORTEST_S), PLACES)


def _certainty(value: float | None) -> float | None:
    return None if value is None else round(min(max(value, 0.0), 1.0), PLACES)


def mean_confidence(spoken: Sequence[Word] | Sequence[Segment]) -> float | None:
    """The plain mean of those that have one; nothing has none."""
    known = [part.confidence for part in spoken if part.confidence is not None]
    return round(sum(known) / len(known), PLACES) if known else None


def is_ordered(segments: Sequence[Segment]) -> bool:
    """Whether segments, and the words of each, begin in order and have a length."""
    lines: list[Sequence[Segment | Word]] = [segments, *(segment.words for segment in segments)]
    return all(
        all(part.end > part.start for part in line) and all(one.start <= other.start for one, other in pairwise(line))
        for line in lines
    )
