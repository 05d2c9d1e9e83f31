"""Cuts a stream of samples into pieces that a model can take, where nobody speaks."""

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.transcriber.samples import RATE, Samples

FRAME = 512  # samples: what the voice detector judges at once
PAUSE_FRAMES = 10  # a cut wants about a third of a second of quiet around it
SHORTEST_TAIL = 2 * RATE  # samples: no piece is too short to be understood

SpeechProbability = Callable[[Samples], NDArray[np.float32]]


class Piece(msgspec.Struct, frozen=True):
    """Samples in a row, and where they begin in the audio."""

    start: int
    samples: Samples


class Cutter(msgspec.Struct, frozen=True, kw_only=True):
    """Where pieces may be cut: none is longer than `longest` samples, and the cut is sought in the last `search` of them.

    `speech_probability` judges each `FRAME` of what it is given, from 0 (no speech) to 1.
    """

    longest: int
    search: int
    speech_probability: SpeechProbability

    def pieces(self, blocks: Iterator[Samples]) -> Iterator[Piece]:
        """Pieces that hold every sample once, in order; audio of `longest` or less is one piece.

        A piece is cut in the longest, quietest pause there is; where speech never pauses, at its least likely frame.
        """
        start = 0
        held = np.empty(0, dtype=np.float32)
        for block in blocks:
            held = np.concatenate((held, block))
            while len(held) >= self.longest + SHORTEST_TAIL:
                cut = self._cut(held)
                yield Piece(start, held[:cut].copy())
                start, held = start + cut, held[cut:]
        while len(held) > self.longest:
            cut = self._cut(held)
            yield Piece(start, held[:cut].copy())
            start, held = start + cut, held[cut:]
        if len(held):
            yield Piece(start, held)

    def _cut(self, held: Samples) -> int:
        """Where to cut what is longer than `longest`, leaving at least the shortest tail where there is room for it."""
        last = max(min(self.longest, len(held) - SHORTEST_TAIL), self.longest // 2, 1)
        first = max(last - self.search, self.longest // 4, 0)
        window = held[first:last]
        return first + quietest(self.speech_probability(window), window)


def quietest(speech: NDArray[np.float32], samples: Samples) -> int:
    """The middle of the pause that is surest to be one, among equals the quieter; the end, where all is too short to judge."""
    frames = min(len(speech), len(samples) // FRAME)
    if frames <= PAUSE_FRAMES:
        return len(samples)
    loudness = np.sqrt(np.mean(np.square(samples[: frames * FRAME].reshape(frames, FRAME)), axis=1))
    unrest = np.convolve(speech[:frames] + loudness, np.ones(PAUSE_FRAMES), mode="valid")
    return (int(np.argmin(unrest)) + PAUSE_FRAMES // 2) * FRAME
