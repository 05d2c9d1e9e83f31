"""How wrong a transcript is, against what was said: words, speakers of words, and who speaks when."""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise, product

import jiwer

Span = tuple[float, float, Hashable]
"""From when to when who speaks."""
SaidWord = tuple[str, Hashable]
"""A word and who says it."""


HUNDRED = 100
ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen""".split()  # noqa: SIM905 - a list of words reads best as words
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905 - same reason


def plain_words(text: str) -> str:
    """Small letters without punctuation, numbers below a thousand written out: both sides of a comparison are put so."""
    plain = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("mr.", "mister").replace("%", " percent "))
    spelt = re.sub(r"\b\d{1,3}\b", lambda found: " ".join(_spelt(int(found[0]))), plain)
    return " ".join(spelt.replace("hundred and ", "hundred ").split())


def _spelt(number: int) -> list[str]:
    if number >= HUNDRED:
        return [ONES[number // HUNDRED], "hundred", *(_spelt(number % HUNDRED) if number % HUNDRED else ())]
    if number < len(ONES):
        return [ONES[number]]
    return [TENS[number // 10], *(_spelt(number % 10) if number % 10 else ())]


def word_error_rate(reference: str, heard: str) -> float:
    """The share of the reference's words that were lost, added or changed."""
    return float(jiwer.wer(plain_words(reference), plain_words(heard)))


def wrong_speaker_rate(reference: Iterable[SaidWord], heard: Iterable[SaidWord]) -> float:
    """The share of the words that were heard, rightly or not, in somebody else's mouth.

    Words are laid beside each other as for the word error rate; whoever is called what is found by most words in common.
    """
    said, found = list(_tokens(reference)), list(_tokens(heard))
    aligned = jiwer.process_words(" ".join(word for word, _ in said), " ".join(word for word, _ in found)).alignments[0]
    common: Counter[tuple[Hashable, Hashable]] = Counter()
    for chunk in aligned:
        if chunk.type in {"equal", "substitute"}:
            lengths = zip(
                range(chunk.ref_start_idx, chunk.ref_end_idx), range(chunk.hyp_start_idx, chunk.hyp_end_idx), strict=True
            )
            common.update((said[one][1], found[other][1]) for one, other in lengths)
    return 1.0 - most_in_common(common) / max(1, sum(common.values()))


def diarization_error_rate(reference: Sequence[Span], heard: Sequence[Span]) -> float:
    """Missed, invented and confused seconds of speech, over the seconds of speech; strict: no collar, overlaps count."""
    edges = sorted({edge for start, end, _ in (*reference, *heard) for edge in (start, end)})
    total = errors = 0.0
    common: dict[tuple[Hashable, Hashable], float] = {}
    for start, end in pairwise(edges):
        really = {who for first, last, who in reference if first < end and last > start}
        found = {who for first, last, who in heard if first < end and last > start}
        length = end - start
        total += length * len(really)
        errors += length * max(len(really), len(found))
        for pair in product(really, found):
            common[pair] = common.get(pair, 0.0) + length
    return (errors - most_in_common(common)) / total


def most_in_common(common: Mapping[tuple[Hashable, Hashable], float]) -> float:
    """The greatest sum over pairs in which nobody stands twice: the best way to call one side's people by the other's names."""
    left = list(dict.fromkeys(one for one, _ in common))
    right = list(dict.fromkeys(other for _, other in common))

    @cache
    def best(place: int, taken: int) -> float:
        if place == len(left):
            return 0.0
        free = (number for number in range(len(right)) if not taken >> number & 1)
        paired = (common.get((left[place], right[number]), 0.0) + best(place + 1, taken | 1 << number) for number in free)
        return max([best(place + 1, taken), *paired])

    return best(0, 0)


def _tokens(words: Iterable[SaidWord]) -> Iterator[SaidWord]:
    for word, who in words:
        for token in plain_words(word).split():
            yield token, who
