"""The model's segments and words in our form."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from services.transcriber.writing import is_spaced
from shared.domain.transcript import Segment, Word, mean_confidence


def placed(segment: Any, offset_s: float, language: str) -> Segment:  # noqa: ANN401 - faster-whisper is not typed
    """The model's segment, moved to its place; the confidence is the mean of its words' probabilities.

    The model's own figure for a segment (`avg_logprob`) is that of the whole 30 s window, the same for all segments in it;
    it is used only where there are no words.
    """
    parts = _wholes(segment.words or (), spaced=is_spaced(language))
    words = tuple(_word(whole, offset_s) for whole in parts)
    confidence = mean_confidence(words) if words else float(np.exp(segment.avg_logprob))
    start, end = float(segment.start) + offset_s, float(segment.end) + offset_s
    return Segment(start=start, end=end, text=segment.text, confidence=confidence, words=words)


def _wholes(parts: Iterable[Any], *, spaced: bool) -> Iterator[list[Any]]:
    """The parts of each word: the model cuts before punctuation (`ill` + `-disposed`, `50` + `%`), and marks words by a space."""
    whole: list[Any] = []
    for part in parts:
        if whole and not (spaced and not part.word.startswith(" ")):
            yield whole
            whole = []
        whole.append(part)
    if whole:
        yield whole


def _word(parts: list[Any], offset_s: float) -> Word:
    return Word(
        word="".join(part.word for part in parts),
        start=float(parts[0].start) + offset_s,
        end=float(parts[-1].end) + offset_s,
        confidence=float(np.mean([part.probability for part in parts])),
    )
