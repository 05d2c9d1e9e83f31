"""Ends the loops in which a speech model can be caught: one phrase again and again, faster than anybody speaks."""

from collections.abc import Sequence

import msgspec

from shared.domain.transcript import Segment, Word, mean_confidence

LONGEST_PHRASE = 12  # words
FEWEST_REPEATS = 3  # after the first time
SPEAKABLE_S = 0.12  # a word; repetitions that are given less, on average, were not spoken


def without_loops(segment: Segment) -> Segment:
    """The segment with each loop reduced to its first round; what people do repeat is slower, and stays."""
    words = segment.words
    kept: list[Word] = []
    place = 0
    while place < len(words):
        length, rounds = _loop_at(words, place)
        kept += words[place : place + length]
        place += length * rounds
    if len(kept) == len(words):
        return segment
    text = "".join(word.word for word in kept)
    return msgspec.structs.replace(
        segment, words=tuple(kept), text=text, end=max(word.end for word in kept), confidence=mean_confidence(kept)
    )


def _loop_at(words: Sequence[Word], place: int) -> tuple[int, int]:
    """How many words the loop that begins at `place` has, and how often they come; (1, 1) when there is none."""
    for length in range(1, min(LONGEST_PHRASE, (len(words) - place) // (FEWEST_REPEATS + 1)) + 1):
        rounds = 1
        phrase = _plain(words[place : place + length])
        while _plain(words[place + rounds * length : place + (rounds + 1) * length]) == phrase:
            rounds += 1
        again = words[place + length : place + rounds * length]
        if rounds > FEWEST_REPEATS and again[-1].end - again[0].start < SPEAKABLE_S * len(again):
            return length, rounds
    return 1, 1


def _plain(words: Sequence[Word]) -> list[str]:
    return [word.word.strip().strip(".,!?").casefold() for word in words]
