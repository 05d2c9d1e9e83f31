"""Captions: what is said, cut into cues of at most two lines of 42 columns and seven seconds (contract A14)."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from services.ingest.exports.columns import width_of
from services.ingest.exports.pieces import COLUMNS, LONGEST_S, Piece, label_of, pieces_of
from shared.domain.transcript import Segment, Transcript

_SHORTEST_S = 1.0  # a cue stands at least so long where nothing follows at once
_PAUSE_S = 0.4
_SENTENCE_ENDS = frozenset(".?!\u3002\u061f\u06d4\u0964\u0965\u0589")  # with those of CJK, Arabic, Urdu, Hindi and Armenian
_CLAUSE_ENDS = frozenset(",;:\u3001\u060c\u061b\u2013\u2014")
_CLOSING = frozenset({"Pe", "Pf"})


class Cue(msgspec.Struct, frozen=True, kw_only=True):
    """One caption, in milliseconds from the start of the audio; `label` is shown where somebody begins to speak, else empty."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    speaker: str | None
    label: str


def cues_of(transcript: Transcript) -> list[Cue]:
    """Return the cues, ordered by their starts; a cue has one speaker and is of one segment, and every word is in one cue."""
    cues: list[Cue] = []
    speaking: str | None = None
    for segment, crossed in zip(transcript.segments, _crossed(transcript.segments), strict=True):
        for speaker, run in groupby(pieces_of(segment), key=lambda piece: piece.speaker):
            room = width_of(label_of(speaker))
            first, others = room if crossed or speaker != speaking else 0, room if crossed else 0
            cues += _cut(list(run), first, others)
            speaking = None if crossed else speaker  # whose cue is the last before the next is seen only in their order
    ordered = sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms))
    return _in_time(list(_labelled(ordered)), transcript.duration_ms)


def _crossed(segments: Sequence[Segment]) -> list[bool]:
    """Say of each segment whether it is among some that several speak at once: the cues of one may stand between another's."""
    crossed: list[bool] = []
    start, reach, voices = 0, 0.0, set[str | None]()
    for number, segment in enumerate(segments):
        if segment.start >= reach:
            crossed += [len(voices) > 1 and number - start > 1] * (number - start)
            start, voices = number, set()
        reach = max(reach, segment.end)
        voices |= {word.speaker or segment.speaker for word in segment.words} or {segment.speaker}
    together = len(segments) - start
    return crossed + [len(voices) > 1 and together > 1] * together


def _labelled(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Name the speaker in each cue before which another one's stands."""
    speaking: str | None = None
    for cue in cues:
        yield cue if cue.speaker == speaking else msgspec.structs.replace(cue, label=label_of(cue.speaker))
        speaking = cue.speaker


def _cut(pieces: Sequence[Piece], room: int, rooms: int) -> Iterator[Cue]:
    """Yield cues, cut where a reader would pause; the first leaves `room` columns for a label, the others `rooms`."""
    begin = 0
    while begin < len(pieces):
        full = _most(pieces, begin, room)
        end = full if full == len(pieces) else _best_cut(pieces, begin, full)
        yield _cue(pieces[begin:end], room)
        begin, room = end, rooms


def _most(pieces: Sequence[Piece], begin: int, room: int) -> int:
    """Return where a cue that begins here must end at the latest."""
    end, rows, width = begin + 1, 1, room + pieces[begin].width
    while end < len(pieces) and pieces[end].end - pieces[begin].start <= LONGEST_S:
        piece = pieces[end]
        added = len(piece.glue) + piece.width
        if width + added <= COLUMNS:
            width += added
        elif rows == 1:
            rows, width = 2, piece.width
        else:
            break
        end += 1
    return end


def _best_cut(pieces: Sequence[Piece], begin: int, full: int) -> int:
    """Return the best place in the second half of what fits: after a sentence, a clause or a pause; else where it is full."""
    places = range(full, begin + (full - begin) // 2, -1)
    return max(places, key=lambda place: (_ending(pieces[place - 1], pieces[place]), place))


def _ending(last: Piece, following: Piece) -> int:
    """Return how much of an end there is between two pieces."""
    final = _final(last.text)
    if final in _SENTENCE_ENDS:
        return 3
    return 2 if final in _CLAUSE_ENDS else int(following.start - last.end >= _PAUSE_S)


def _final(text: str) -> str:
    """Return the last character that is no quotation mark or bracket; wide forms of ASCII count as ASCII."""
    plain = unicodedata.normalize("NFKC", text[-3:])
    while plain and (plain[-1] in "\"'" or unicodedata.category(plain[-1]) in _CLOSING):
        plain = plain[:-1]
    return plain[-1:]


def _cue(pieces: Sequence[Piece], room: int) -> Cue:
    start_ms = round(pieces[0].start * 1000)
    end_ms = min(round(max(piece.end for piece in pieces) * 1000), start_ms + round(LONGEST_S * 1000))
    lines, speaker = _lines(pieces, room), pieces[0].speaker
    return Cue(start_ms=start_ms, end_ms=max(end_ms, start_ms + 1), lines=lines, speaker=speaker, label="")


def _lines(pieces: Sequence[Piece], taken: int) -> tuple[str, ...]:
    """Return one line if it fits, else two of much the same width, the first shorter by the columns that are `taken`."""
    whole = _joined(pieces)
    if taken + width_of(whole) <= COLUMNS:
        return (whole,)
    pairs = [(_joined(pieces[:place]), _joined(pieces[place:])) for place in range(1, len(pieces))]
    fitting = [pair for pair in pairs if taken + width_of(pair[0]) <= COLUMNS and width_of(pair[1]) <= COLUMNS]
    return min(fitting, key=lambda pair: max(taken + width_of(pair[0]), width_of(pair[1]))) if fitting else (whole,)


def _joined(pieces: Sequence[Piece]) -> str:
    return pieces[0].text + "".join(piece.glue + piece.text for piece in pieces[1:])


def _in_time(cues: Sequence[Cue], duration_ms: int) -> list[Cue]:
    """Let short cues stand longer, as far as the next one and the end of the audio allow."""
    latest = [cue.start_ms for cue in cues[1:]] + [duration_ms]
    return [
        msgspec.structs.replace(cue, end_ms=max(cue.end_ms, min(cue.start_ms + round(_SHORTEST_S * 1000), limit)))
        for cue, limit in zip(cues, latest, strict=False)
    ]
