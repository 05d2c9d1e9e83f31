"""Independent encoder runs of ADTS AAC: what each run adds before and behind its audio, told by the declared duration.

The format has no word for the priming that an encoder puts before the audio (1024 samples in most, 2112 in Apple's) and the
padding behind it to the full frame, so every run decodes too long: by 1024 to 3135 samples. What a client declares at finalize
tells by how much all together do. Chunks cut from one run add it only once, so from the fourth on the two cannot be confused; for
the others, and lest a wrong declaration cuts good audio, the runs must also begin as runs do: with a frame of silence.
"""

from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import numpy as np

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.frames import adts_frame, id3_size, walk
from services.stitcher.containers.malformed import Malformed
from services.stitcher.decode import frames

_FRAME = 1024
_SHORT_PRIMING, _LONG_PRIMING = 1024, 2112
_LEAST, _MOST = _SHORT_PRIMING - 16, _LONG_PRIMING + _FRAME  # a little under: declared durations are whole milliseconds
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
    if min(lengths) <= mean:
        return None
    return [Cut(priming / rate, (length - mean) / rate) for length in lengths]


def _measured(stream: ByteStream) -> tuple[int, list[int]] | None:
    """The sample rate and every chunk's length; None unless each is whole frames of its own."""
    lengths, rate = [], 0
    for index in range(len(stream.paths)):
        with stream.only(index) as chunk:
            head = adts_frame(chunk.read_at(id3_size(chunk.read_at(0, 10)), 10))
            if head is None:
                return None
            try:
                lengths.append(_FRAME * walk(chunk, adts_frame))
            except Malformed:
                return None
            rate = rate or head.rate
    return rate, lengths


def _begin_quietly(stream: ByteStream) -> bool:
    """Whether most chunks after the first that can be told begin with a frame much quieter than those that follow."""
    quiet = loud = 0
    for path in stream.paths[1:]:
        head = [float(np.square(frame.to_ndarray()).mean()) for frame in islice(frames(path, None), _LOOKED_AT)]
        first, *others = head or [0.0]
        if max(others, default=0.0) > 0:
            quiet, loud = (quiet + 1, loud) if first < _QUIET**2 * max(others) else (quiet, loud + 1)
    return quiet > loud or quiet == loud == 0
