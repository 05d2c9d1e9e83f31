"""Gives each word its speaker, and cuts segments where the speaker changes."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter

import msgspec

from services.transcriber.diarization.ports import Turn
from services.transcriber.writing import PAUSE_S, ends_sentence
from shared.domain.transcript import Segment, Word, mean_confidence

OWN_WORDS = 3  # so many in a row, for ...
OWN_S = 0.8  # ... so long, are somebody else's words within a sentence; fewer are taken for the engines' different clocks
NEIGHBOURS = 4

Spoken = dict[int, float]
"""Seconds by speaker."""


def attributed(segments: Iterable[Segment], turns: Sequence[Turn]) -> list[Segment]:
    """The segments by start, cut so that each has one speaker, `SPEAKER_0` … by first appearance, its words the same.

    Words carry their own leading space, as Whisper gives them. Without turns nobody could be told from anybody: all is said
    by `SPEAKER_0`.
    """
    ordered = sorted(segments, key=attrgetter("start", "end"))
    who = _Speakers(turns)
    names: dict[int, str] = {}
    named = []
    for part, speaker in _cut(ordered, who):
        name = names.setdefault(speaker, f"SPEAKER_{len(names)}")
        words = tuple(msgspec.structs.replace(word, speaker=name) for word in part.words)
        named.append(msgspec.structs.replace(part, words=words, speaker=name))
    return named


class _Speakers:
    """Looks up who speaks when."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = sorted(turns, key=attrgetter("start", "end"))
        self._starts = [turn.start for turn in self._turns]
        self._longest = max((turn.end - turn.start for turn in self._turns), default=0.0)

    def during(self, start: float, end: float) -> Spoken:
        """How long each one speaks; where nobody does, the nearest does for no time at all."""
        last = bisect_left(self._starts, end)
        first = bisect_left(self._starts, start - self._longest, hi=last)
        spoken: Spoken = {}
        for turn in self._turns[first:last]:
            if turn.end > start:
                spoken[turn.speaker] = spoken.get(turn.speaker, 0.0) + min(turn.end, end) - max(turn.start, start)
        return spoken or {self._nearest(start, end, last): 0.0}

    def _nearest(self, start: float, end: float, place: int) -> int:
        near = self._turns[max(0, place - NEIGHBOURS) : place + NEIGHBOURS]
        return min(near, key=lambda turn: max(turn.start - end, start - turn.end)).speaker if near else 0


def _cut(segments: Sequence[Segment], who: _Speakers) -> Iterator[tuple[Segment, int]]:
    """The segments' parts, each with its speaker."""
    speakers = _smoothed([word for segment in segments for word in segment.words], who)
    for segment in segments:
        if not segment.words:
            yield segment, _leader([who.during(segment.start, segment.end)])
            continue
        said = [(word, next(speakers)) for word in segment.words]
        if len({speaker for _, speaker in said}) == 1:
            yield segment, said[0][1]
            continue
        for speaker, run in groupby(said, key=itemgetter(1)):
            yield _part(tuple(word for word, _ in run)), speaker


def _part(words: tuple[Word, ...]) -> Segment:
    text, confidence = "".join(word.word for word in words), mean_confidence(words)
    return Segment(start=words[0].start, end=max(word.end for word in words), text=text, confidence=confidence, words=words)


def _smoothed(words: Sequence[Word], who: _Speakers) -> Iterator[int]:
    """A speaker for each word: the one who says most of its sentence, unless another says enough of it in a row."""
    for sentence in _sentences(words):
        heard = [who.during(word.start, word.end) for word in sentence]
        leader = _leader(heard)
        alone = (max(spoken, key=lambda speaker: (spoken[speaker], speaker == leader)) for spoken in heard)
        for speaker, run in groupby(zip(sentence, alone, strict=True), key=itemgetter(1)):
            said = [word for word, _ in run]
            own = len(said) >= OWN_WORDS and said[-1].end - said[0].start >= OWN_S
            yield from [speaker if own else leader] * len(said)


def _leader(heard: Sequence[Spoken]) -> int:
    """Who speaks most, in all."""
    seconds: Spoken = {}
    for spoken in heard:
        for speaker, length in spoken.items():
            seconds[speaker] = seconds.get(speaker, 0.0) + length
    return max(seconds, key=seconds.__getitem__)


def _sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        if sentence and (ends_sentence(sentence[-1]) or word.start - sentence[-1].end >= PAUSE_S):
            yield sentence
            sentence = []
        sentence.append(word)
    if sentence:
        yield sentence
