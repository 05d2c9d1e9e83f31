"""Cuts one long run of samples into segments that can be encoded at the same time and still sound like one encoder's run.

An Opus encoder predicts from what came before. So each segment brings the last second of the one before it as pre-roll: its
encoder works that off and the packets are thrown away, after which its state has come so close to that of an uncut run
that a seam loses at most 3 dB of signal-to-noise for 50 ms, as frames of one run do among each other. Half a second is not
enough: encoders that have not yet agreed on the coding mode lost 9 dB on speech and 23 dB on a tone. Seams are put into the
quietest frame of a second, which in speech is mostly a pause.
"""

from collections.abc import Iterator

import msgspec
import numpy as np

from services.stitcher.libopus import Samples

FRAMES_PER_SECOND = 50
PREROLL = 50
_SEARCH = 50  # frames before the nominal end among which the seam may lie


class Segment(msgspec.Struct):
    """Whole frames of samples, of which the first `preroll` are only there to warm the encoder up."""

    samples: Samples
    preroll: int


class Cutter:
    """Takes blocks of samples of any length, gives segments of about `seconds`."""

    def __init__(self, rate: int, channels: int, seconds: float) -> None:
        self._frame = rate // FRAMES_PER_SECOND
        self._goal = max(_SEARCH + PREROLL, round(seconds * FRAMES_PER_SECOND)) * self._frame
        self._preroll: Samples = np.zeros((0, channels), np.float32)
        self._held: list[Samples] = []
        self._count = 0
        self.total = 0  # samples per channel taken so far

    def take(self, block: Samples) -> Iterator[Segment]:
        """Hold the block, and give a segment for as long as there is enough for one."""
        self._held.append(block)
        self._count += len(block)
        self.total += len(block)
        while self._count >= self._goal:
            samples = np.concatenate(self._held)
            yield self._cut(samples, self._seam(samples))

    def finish(self, padding: int) -> Segment:
        """What is left, with `padding` samples of silence behind it and to the full frame."""
        channels = self._preroll.shape[1]
        padding += -(self._count + padding) % self._frame
        samples = np.concatenate([*self._held, np.zeros((padding, channels), np.float32)])
        return self._cut(samples, len(samples))

    def _seam(self, samples: Samples) -> int:
        end = self._goal
        window = samples[end - _SEARCH * self._frame : end]
        energy = np.square(window).reshape(_SEARCH, -1).sum(axis=1)
        return end - (_SEARCH - 1 - int(energy.argmin())) * self._frame

    def _cut(self, samples: Samples, at: int) -> Segment:
        body, rest = samples[:at], samples[at:]
        segment = Segment(np.ascontiguousarray(np.concatenate([self._preroll, body])), len(self._preroll) // self._frame)
        self._preroll = body[-PREROLL * self._frame :].copy()
        self._held, self._count = [rest.copy()], len(rest)
        return segment
