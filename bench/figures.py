"""Figures of several rounds: printed as the median with the spread, for one run of a noisy machine means little."""

import statistics
from collections.abc import Sequence


class Figures:
    """One figure of each round; formats as `median (lowest-highest)`."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = sorted(values)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    def __format__(self, spec: str) -> str:
        """Return `median (lowest-highest)`, each figure by `spec`."""
        return f"{self.median:{spec}} ({self.values[0]:{spec}}-{self.values[-1]:{spec}})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
