"""A histogram of seconds for what happens thousands of times a second.

`prometheus_client` takes two locks and a search for each observation, so that any thread may observe. This one is for one thread,
that of an event loop, and adds two numbers; Prometheus is told the same.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import inf

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Timing:
    """The observations of one series."""

    __slots__ = ("_bounds", "counts", "total_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one that took so long."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total_s += seconds


class Timings(Collector):
    """A metric with a series for each set of labels that was asked for; without labels it has one, which is there at once."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        """Report to `registry`; `buckets` are upper bounds in ascending order, the last of them finite."""
        self._name, self._documentation, self._labelnames, self._bounds = name, documentation, labels, tuple(buckets)
        self._series: dict[tuple[str, ...], Timing] = {} if labels else {(): Timing(self._bounds)}
        registry.register(self)

    def labels(self, *values: str) -> Timing:
        """Return the series of these labels."""
        series = self._series.get(values)
        if series is None:
            if len(values) != len(self._labelnames):
                raise ValueError(f"{self._name} has the labels {', '.join(self._labelnames)}")
            series = self._series[values] = Timing(self._bounds)
        return series

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the metric as it stands."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labelnames)
        bounds = [floatToGoString(bound) for bound in (*self._bounds, inf)]  # type: ignore[no-untyped-call]
        for values, series in list(self._series.items()):
            buckets = list(zip(bounds, accumulate(series.counts), strict=True))
            family.add_metric(values, buckets, series.total_s)
        yield family
