"""Finds out which speakers of separately diarized parts are the same person, by how alike their voices are."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

ALIKE = 0.7
"""The cosine from which two voices are one: what one person says in two parts was found at 0.81 or more, two women on one
telephone line at 0.65 or less."""

IMPOSSIBLE = -2.0  # below every cosine

Voice = NDArray[np.float32]


class Part(msgspec.Struct, frozen=True):
    """A speaker as one part of the recording knows them: which part, how they sound (a unit vector), for how many seconds."""

    number: int
    voice: Voice
    seconds: float


def linked(parts: Sequence[Part], people: int | None = None) -> list[int]:
    """For each of `parts`, the number of the person it belongs to, from 0.

    Without a number of `people` two speakers of the same part stay two, since its own engine has told them apart. With it,
    the most alike are joined until there are so many, wherever they come from.
    """
    owner = np.arange(len(parts))
    if len(parts) > 1:
        for _ in range(len(parts) - (people or 1)):
            pair = _most_alike(owner, parts, apart=people is None)
            if pair is None:
                break
            owner[owner == pair[1]] = pair[0]
    names = {int(first): number for number, first in enumerate(dict.fromkeys(owner.tolist()))}
    return [names[int(first)] for first in owner]


def _most_alike(owner: NDArray[np.int64], parts: Sequence[Part], *, apart: bool) -> tuple[int, int] | None:
    """The two groups that sound most alike, named by their first members; none when all must stay `apart`.

    A group's voice is that of its parts, each counting by how long it was heard.
    """
    groups = np.unique(owner)
    belongs = (owner == groups[:, None]).astype(np.float32)
    voices = belongs @ np.array([part.voice * part.seconds for part in parts])
    voices /= np.maximum(np.linalg.norm(voices, axis=1, keepdims=True), 1e-9)
    likeness = np.triu(voices @ voices.T, k=1) + np.tril(np.full((len(groups), len(groups)), IMPOSSIBLE))
    if apart:
        numbers = np.array([part.number for part in parts])
        present = belongs @ (numbers[:, None] == np.unique(numbers)).astype(np.float32)
        likeness[(present @ present.T) > 0] = IMPOSSIBLE
    one, other = np.unravel_index(int(np.argmax(likeness)), likeness.shape)
    if likeness[one, other] < (ALIKE if apart else IMPOSSIBLE / 2):
        return None
    return int(groups[one]), int(groups[other])


def unit(vector: Voice) -> Voice:
    """The vector with the length of 1; nothing stays nothing."""
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector
