"""Cuts a long segment where its sentences end: what a listener reads as one caption, and a diarizer gives to one speaker."""

from collections.abc import Iterable, Iterator

from services.transcriber.writing import PAUSE_S, ends_sentence
from shared.domain.transcript import Segment, Word, mean_confidence

SHORTEST_S = 2.0  # "Yes. No. Fine." stays together


def sentences(segment: Segment) -> Iterator[Segment]:
    """The segment's sentences, together holding all its words in order; a segment without words stays whole.

    Words carry their own leading space, as Whisper gives them, so that any script is put together rightly.
    """
    if not segment.words:
        yield segment
        return
    for words in _runs(segment.words):
        text = "".join(word.word for word in words)
        confidence = mean_confidence(words)
        yield Segment(start=words[0].start, end=words[-1].end, text=text, confidence=confidence, words=words)


def _runs(words: Iterable[Word]) -> Iterator[tuple[Word, ...]]:
    run: list[Word] = []
    for word in words:
        if run and _ends(run, word):
            yield tuple(run)
            run = []
        run.append(word)
    yield tuple(run)


def _ends(run: list[Word], following: Word) -> bool:
    last = run[-1]
    if following.start - last.end >= PAUSE_S:
        return True
    return ends_sentence(last) and last.end - run[0].start >= SHORTEST_S
