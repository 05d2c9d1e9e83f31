"""Independent encoder runs of ADTS AAC: what each run adds before and behind its audio, told by the declared duration.

The format has no word for the priming that an encoder puts before the audio (1024 samples in most, 2112 in Apple's) and the
padding behind it to the full frame, so every run decodes too long: by 1024 to 3135 samples. What a client declares at finalize
tells by how much all together do, and the round length that a recorder cuts by, where there is one, by how much each does. Chunks
cut from one run add it only once, so from the fourth on the two cannot be confused; for the others, and lest a wrong declaration
cuts good audio, the runs must also begin as runs do: with a frame of silence.
"""

from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import numpy as np

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.frames import scan_adts
from services.stitcher.containers.malformed import Malformed
from services.stitcher.decode import frames
from shared.domain.audio_frames import adts_frame, id3_size

_FRAME = 1024
_SHORT_PRIMING, _LONG_PRIMING = 1024, 2112
_ROUNDED = 48  # declared durations are whole milliseconds
_LEAST, _MOST = _SHORT_PRIMING - 16, _LONG_PRIMING + _FRAME  # a little under, for the same reason
_NOMINAL_MS = (1000, 500, 250, 200, 100)
"""What recorders cut by: a chunk lasts a multiple of one of these, all but the last as long as each other."""

_LOOKED_AT = 4  # frames: behind the longest priming there is audio in the fourth
_QUIET = 0.1  # of the loudest frame after it; a frame from the middle of a run decodes to about half of what it holds


class Cut(NamedTuple):
    """What is audio of one chunk, in seconds: from where, and how much."""

    begin: Fraction
    length: Fraction


def cuts(stream: ByteStream, declared_ms: int) -> list[Cut] | None:
    """Where the audio of each chunk lies so that all together last as declared; None where the chunks are not such runs."""
    measured = _measured(stream)
    if measured is None or len(measured) == 1 or declared_ms <= 0:
        return None
    rate, lengths = measured
    excess = sum(lengths) - round(Fraction(declared_ms * rate, 1000))
    if not _LEAST * len(lengths) <= excess < _MOST * len(lengths) or not _begin_quietly(stream):
        return None
    mean = Fraction(excess, len(lengths))
    priming = min(mean, Fraction(_SHORT_PRIMING if mean < 2 * _FRAME else _LONG_PRIMING))
    added = _added(lengths, excess, rate, priming) or [mean] * len(lengths)
    if any(length <= more for length, more in zip(lengths, added, strict=True)):
        return None
    return [Cut(priming / rate, (length - more) / rate) for length, more in zip(lengths, added, strict=True)]


def _added(lengths: list[int], excess: int, rate: int, priming: Fraction) -> list[Fraction] | None:
    """What each run adds, in samples, where all but the last are of one nominal length; None where none explains all."""
    *equal, last = lengths
    if len(set(equal)) != 1 or last > equal[0]:
        return None
    for unit_ms in _NOMINAL_MS:
        unit = Fraction(unit_ms * rate, 1000)
        more = equal[0] - (equal[0] - priming) // unit * unit
        of_last = excess - more * len(equal)
        if more < priming + _FRAME and -_ROUNDED <= of_last - priming < _FRAME + _ROUNDED:
            return [*[more] * len(equal), of_last]
    return None


def _measured(stream: ByteStream) -> tuple[int, list[int]] | None:
    """The sample rate and every chunk's length; None unless each is whole frames of its own."""
    lengths, rate = [], 0
    for index in range(len(stream.paths)):
        with stream.only(index) as chunk:
            head = adts_frame(chunk.read_at(id3_size(chunk.read_at(0, 10)), 10))
            if head is None:
                return None
            try:
                lengths.append(_FRAME * scan_adts(chunk).frames)
            except Malformed:
                return None
            rate = rate or head.rate
    return rate, lengths


def _begin_quietly(stream: ByteStream) -> bool:
    """Whether most chunks after the first that can be told begin with a frame much quieter than those that follow."""
    quiet = loud = 0
    for path in stream.paths[1:]:
        try:
            head = [float(np.square(frame.to_ndarray()).mean()) for frame in islice(frames(path, None), _LOOKED_AT)]
        except Malformed:
            continue  # whoever joins it says so
        first, *others = head or [0.0]
        if max(others, default=0.0) > 0:
            quiet, loud = (quiet + 1, loud) if first < _QUIET**2 * max(others) else (quiet, loud + 1)
    return quiet > loud or quiet == loud == 0
