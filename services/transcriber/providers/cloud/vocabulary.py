"""Words that are likely to be said, as far as a provider takes them: one that it refuses would cost the whole order."""

from collections.abc import Iterable


def taken(terms: Iterable[str], *, most_words: int, most_letters: int, never: str = "") -> list[str]:
    """Return the terms without the characters in `never`, each once, but for those that are empty or too long then."""
    removed = str.maketrans(dict.fromkeys(never, " "))
    tidied = dict.fromkeys(" ".join(term.translate(removed).split()) for term in terms)
    return [term for term in tidied if 0 < len(term) <= most_letters and len(term.split()) <= most_words]
