"""How speech is written: where a sentence ends, and whether a language sets its words apart."""

from shared.domain.languages import base_language
from shared.domain.transcript import Word

PAUSE_S = 0.8
"""So long a pause ends a sentence, whatever is written before it."""

_SENTENCE_ENDS = tuple(".!?…。！？")  # noqa: RUF001 - as other scripts write them
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue", "zho", "jpn", "tha", "lao", "mya"})  # by all codes that engines use


def ends_sentence(word: Word) -> bool:
    """Say whether a sentence ends with the word, as it is written."""
    return word.word.rstrip().endswith(_SENTENCE_ENDS)


def is_spaced(language: str | None) -> bool:
    """Say whether the words of `language` are set apart by spaces."""
    return language is None or base_language(language) not in _UNSPACED
