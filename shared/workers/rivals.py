"""How far past the head of a queue to look while others look there, too."""

import random
import time
from collections.abc import Callable

_FURTHEST = 8
_REMEMBERED_S = 1.0
_KEPT = 0.97  # of the width, after a race that was won


class Rivals:
    """Where all look at the head, all but one lose: who has lost looks a random few places past it, the further the more often.

    Won races narrow that slowly, and a second after the last that was lost it is the head again: whose jobs take longer than
    that takes them in their order.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._width, self._until = 0.0, 0.0

    def places(self) -> int:
        """Return how many places past the head to look."""
        if self._clock() >= self._until:
            self._width = 0.0
        return random.randint(0, round(self._width))  # noqa: S311 - jitter, not a secret

    def won(self) -> None:
        """Remember that nobody was faster."""
        self._width *= _KEPT

    def lost(self) -> None:
        """Remember that another was faster."""
        self._width = min(self._width + 2, _FURTHEST)
        self._until = self._clock() + _REMEMBERED_S
