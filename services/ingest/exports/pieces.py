"""A segment in pieces that no caption cuts: its words, or what stands for words where a provider gives none."""

import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

from services.ingest.exports.columns import cleaned, clusters, cut_to, is_wide, width_of
from shared.domain.transcript import Segment

COLUMNS = 42
"""The longest line."""

LONGEST_S = 7.0
"""The longest time one caption stands."""

_LABEL_COLUMNS = 20
_CLOSING = frozenset({"Pe", "Pf", "Po"})  # categories of what no line begins with


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What stays on one line; `glue` is what stands between it and the one before: a space, or nothing."""

    text: str
    glue: str
    start: float
    end: float
    speaker: str | None

    @property
    def width(self) -> int:
        """How many columns it takes."""
        return width_of(self.text)


def label_of(speaker: str | None) -> str:
    """Return what tells a reader who speaks."""
    return "" if speaker is None else f"{cleaned(speaker)[:_LABEL_COLUMNS]}: "


def pieces_of(segment: Segment) -> Iterator[Piece]:
    """Yield the segment's pieces, in order; together they are its text."""
    for piece in _words(segment) if segment.words else _stand_ins(segment):
        limit = COLUMNS - width_of(label_of(piece.speaker))
        if piece.width <= limit:
            yield piece
        else:
            cuts = [(cut, index == 0) for token in piece.text.split() for index, cut in enumerate(cut_to(token, limit))]
            yield from _parts(piece, cuts)


def _words(segment: Segment) -> Iterator[Piece]:
    """Yield the words, glued as the segment's text has them: scripts without spaces have none between words either."""
    text, at = cleaned(segment.text), 0
    for word in segment.words:
        written = cleaned(word.word)
        if not written:
            continue
        found = text.find(written, at)
        between = text[at:found] if found >= 0 else " "
        at = found + len(written) if found >= 0 else at
        glue = "" if found == at - len(written) and not between else " "
        speaker = word.speaker or segment.speaker
        yield Piece(text=written, glue=glue, start=word.start, end=word.end, speaker=speaker)


def _stand_ins(segment: Segment) -> Iterator[Piece]:
    """Yield the words of the text, wide characters one by one, their times in proportion to their widths."""
    whole = cleaned(segment.text)
    columns = min(COLUMNS, _columns_within(whole, segment.end - segment.start))
    texts = [part for token in whole.split() for part in _tokens(token, columns)]
    everything = Piece(text=whole, glue=" ", start=segment.start, end=segment.end, speaker=segment.speaker)
    yield from _parts(everything, texts)


def _columns_within(text: str, duration_s: float) -> int:
    """Return how much of the text is said in as long as a caption may stand."""
    return max(2, int(width_of(text) * LONGEST_S / duration_s)) if duration_s > LONGEST_S else COLUMNS


def _tokens(token: str, columns: int) -> Iterator[tuple[str, bool]]:
    """Yield parts of a token, and whether each is its first; what closes a sentence stays with what it closes."""
    parts: list[str] = []
    for cluster in clusters(token):
        begins = not parts or is_wide(cluster[0]) or is_wide(parts[-1][-1])
        if begins and not (parts and unicodedata.category(cluster[0]) in _CLOSING):
            parts.append(cluster)
        else:
            parts[-1] += cluster
    short = [cut for part in parts for cut in cut_to(part, columns)]
    yield from ((part, index == 0) for index, part in enumerate(short))


def _parts(piece: Piece, texts: Sequence[tuple[str, bool]]) -> Iterator[Piece]:
    """Yield the texts, and whether a word begins with each, as pieces; they share the time of the whole by their widths."""
    total = sum(max(1, width_of(text)) for text, _ in texts)
    begun, span = 0, piece.end - piece.start
    for index, (text, begins) in enumerate(texts):
        ended = begun + max(1, width_of(text))
        yield Piece(
            text=text,
            glue=piece.glue if index == 0 else " " * begins,
            start=piece.start + span * begun / total,
            end=piece.start + span * ended / total,
            speaker=piece.speaker,
        )
        begun = ended
