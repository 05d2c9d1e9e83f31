"""How wide text is on a screen, and where it may be cut, in any script."""

import unicodedata
from collections.abc import Iterator

_MARKS = frozenset({"Mn", "Me", "Cf"})
_WIDE = frozenset({"W", "F"})
_JOINER = "\u200d"
_SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_FLAG_LETTERS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))  # two of them are one flag


def cleaned(text: str) -> str:
    """Return the text on one line: every run of white space is one space, control characters are gone."""
    seen = (character for character in text if character.isspace() or unicodedata.category(character) != "Cc")
    return " ".join("".join(seen).split())


def width_of(text: str) -> int:
    """Return how many columns the text takes: wide characters two, marks upon others none."""
    return len(text) if text.isascii() else sum(map(_width, text))


def clusters(text: str) -> Iterator[str]:
    """Yield what a reader takes for one character each: a base with its marks, several that a joiner joins, or a flag."""
    cluster = ""
    for character in text:
        if cluster and not _continues(cluster, character):
            yield cluster
            cluster = ""
        cluster += character
    if cluster:
        yield cluster


def cut_to(text: str, columns: int) -> Iterator[str]:
    """Yield parts of the text of at most `columns` each, or of one cluster that is wider by itself."""
    part, width = "", 0
    for cluster in clusters(text):
        wide = width_of(cluster)
        if part and width + wide > columns:
            yield part
            part, width = "", 0
        part += cluster
        width += wide
    if part:
        yield part


def is_wide(character: str) -> bool:
    """Say whether the character is of a script that is written without spaces, two columns wide."""
    return unicodedata.east_asian_width(character) in _WIDE


def _continues(cluster: str, character: str) -> bool:
    if _width(character) == 0 or unicodedata.category(character) == "Mc" or cluster.endswith(_JOINER):
        return True
    return character in _FLAG_LETTERS and cluster in _FLAG_LETTERS


def _width(character: str) -> int:
    if unicodedata.category(character) in _MARKS or character in _SKIN_TONES:
        return 0
    return 2 if is_wide(character) else 1
