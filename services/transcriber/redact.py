"""Hides numbers and swear words in a transcript, in its text, its segments and its words alike.

Numbers are all that is written with digits, of any script, and in English what is written out (`forty-two`). Swear words
are English ones. The rest of the transcript, its times above all, stays as it was.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from services.transcriber.swear_words import is_profane
from shared.domain.transcript import Segment, Transcript
from shared.domain.transcription import Redaction

NUMBER_WORDS = frozenset(
    """zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions billion
    billions""".split()  # noqa: SIM905 - a list of words reads best as words
)
BETWEEN_NUMBERS = frozenset({"and", "point", "a"})
BESIDE_NUMBERS = frozenset({"one", "oh", "o", "double", "triple"}) | BETWEEN_NUMBERS
"""Part of a number beside its other words only: `four oh one`, but not `no one`."""
SPELT_ONES = 2  # `one one` is spelt out
WORD = re.compile(r"\w(?:.*\w)?", re.DOTALL)  # a token without the punctuation around it


def redacted(transcript: Transcript, kinds: Collection[Redaction]) -> Transcript:
    """The transcript with what `kinds` name masked: digits and number words by `#`, swear words but for their first letter."""
    if not kinds:
        return transcript
    masked = iter(_masked([token for segment in transcript.segments for token in _tokens(segment)], kinds))
    segments = tuple(_rewritten(segment, [next(masked) for _ in _tokens(segment)]) for segment in transcript.segments)
    return msgspec.structs.replace(transcript, segments=segments, text=" ".join(segment.text for segment in segments))


def _tokens(segment: Segment) -> list[str]:
    return [word.word for word in segment.words] or segment.text.split()


def _masked(tokens: Sequence[str], kinds: Collection[Redaction]) -> Iterator[str]:
    numbers = Redaction.NUMBERS in kinds
    shown = [_without_digits(token) if numbers else token for token in tokens]
    bare = [_bare(token if _bare(token).isnumeric() else rest) for token, rest in zip(tokens, shown, strict=True)]
    written_out = _written_out(bare) if numbers else frozenset()
    for place, token in enumerate(shown):
        if Redaction.PROFANITY in kinds and is_profane(bare[place]):
            yield WORD.sub(lambda found: found[0][0] + "*" * (len(found[0]) - 1), token)
        elif place in written_out and not bare[place].isnumeric():
            yield WORD.sub("#", token)
        else:
            yield token


def _without_digits(token: str) -> str:
    return "".join("#" if character.isnumeric() else character for character in token)


def _bare(token: str) -> str:
    found = WORD.search(token)
    return found[0].casefold() if found else ""


def _written_out(words: Sequence[str]) -> frozenset[int]:
    """The places of the words that make numbers: runs of number words, with what belongs between them."""
    places: set[int] = set()
    run: list[int] = []
    for place, word in enumerate([*words, ""]):
        if _is_number(word) or word in BESIDE_NUMBERS:
            run.append(place)
            continue
        places.update(_number_in(run, words))
        run = []
    return frozenset(places)


def _number_in(run: list[int], words: Sequence[str]) -> Iterable[int]:
    """The part of a run that is a number; nothing where it holds none, as a lone `one` or `oh`."""
    kept = [place for place in run if words[place] not in BETWEEN_NUMBERS]
    ones = sum(words[place] == "one" for place in kept)
    if ones < SPELT_ONES and not any(_is_number(words[place]) for place in kept):
        return ()
    return range(kept[0], kept[-1] + 1)


def _is_number(word: str) -> bool:
    """Whether the word is a number by itself, hyphens or not: `forty-two`, `four-oh-one`."""
    parts = word.split("-")
    spelt = len(parts) > 1 and parts.count("one") >= SPELT_ONES
    written = all(part in NUMBER_WORDS or part in BESIDE_NUMBERS for part in parts)
    return word.isnumeric() or (written and (spelt or not NUMBER_WORDS.isdisjoint(parts)))


def _rewritten(segment: Segment, tokens: Sequence[str]) -> Segment:
    """The segment with other words; its text is changed where they stand in it, or made of them where they do not."""
    words = tuple(msgspec.structs.replace(word, word=token) for word, token in zip(segment.words, tokens, strict=False))
    text, place = "", 0
    for old, new in zip(_tokens(segment), tokens, strict=True):
        found = segment.text.find(old, place)
        if found < 0:
            return msgspec.structs.replace(segment, words=words, text=" ".join(tokens))
        text += segment.text[place:found] + new
        place = found + len(old)
    return msgspec.structs.replace(segment, words=words, text=text + segment.text[place:])
