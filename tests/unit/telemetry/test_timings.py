"""Timings: Prometheus is told what its own histograms would tell it."""

import pytest
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest

from shared.telemetry.timings import Timings

BUCKETS = (0.001, 0.5, 1, 30)
disable_created_metrics()

OBSERVED = (0.0, 0.001, 0.0011, 0.5, 0.7, 1, 29.999, 30, 30.5, 4000)


def test_a_metric_without_labels_reads_as_a_histogram_of_the_library():
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("seconds", "How long.", buckets=BUCKETS, registry=theirs)
    timings = Timings("seconds", "How long.", buckets=BUCKETS, registry=ours)
    assert generate_latest(ours) == generate_latest(theirs)
    for seconds in OBSERVED:
        histogram.observe(seconds)
        timings.labels().observe(seconds)
    assert generate_latest(ours) == generate_latest(theirs)


def test_one_with_labels_has_a_series_for_each_set_that_was_asked_for():
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("seconds", "How long.", ["method", "route"], buckets=BUCKETS, registry=theirs)
    timings = Timings("seconds", "How long.", ["method", "route"], buckets=BUCKETS, registry=ours)
    assert generate_latest(ours) == generate_latest(theirs)
    for seconds, method in zip(OBSERVED, ("GET", "PUT") * 5, strict=True):
        histogram.labels(method, '/a"b').observe(seconds)
        timings.labels(method, '/a"b').observe(seconds)
    assert timings.labels("GET", '/a"b') is timings.labels("GET", '/a"b')
    assert generate_latest(ours) == generate_latest(theirs)


def test_labels_that_are_not_the_metrics_are_refused():
    timings = Timings("seconds", "How long.", ["method"], buckets=BUCKETS, registry=CollectorRegistry())
    with pytest.raises(ValueError, match="method"):
        timings.labels("GET", "/")
