"""What is counted and measured, named `earwitness_…`, and its exposition for Prometheus.

Queues are not counted as they change: their probes are asked when somebody scrapes, all at once, with a time limit and at most
once a second however many scrape. A queue whose probe fails disappears until it answers again: a stale depth would mislead.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import prometheus_client
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from shared.telemetry.timings import Timings

QueueProbe = Callable[[], Awaitable[tuple[int, float]]]  # → how many wait, and for how long (seconds) the oldest has

PROBE_TIMEOUT_S = 2.0
PROBE_CACHE_S = 1.0

_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_MESSAGE_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_STAGE_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 3600)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a `_created` series beside every one of ours says nothing we ask

http_requests_total = Counter("earwitness_http_requests_total", "Requests answered.", ["method", "route", "status"])
http_request_seconds = Timings(
    "earwitness_http_request_seconds", "From head to end of answer.", ["method", "route"], buckets=_REQUEST_BUCKETS
)
rate_limited_total = Counter("earwitness_rate_limited_total", "Requests refused by a rate limit.", ["limit"])
answers_replayed_total = Counter("earwitness_answers_replayed_total", "Repeated requests answered as before.", ["route"])
messages_handled_total = Counter("earwitness_messages_handled_total", "Messages handled.", ["topic", "group", "outcome"])
message_seconds = Histogram(
    "earwitness_message_seconds", "One handling of a message.", ["topic", "group"], buckets=_MESSAGE_BUCKETS
)
message_retries_total = Counter("earwitness_message_retries_total", "Repeated handlings of a message.", ["topic"])
dead_letters_total = Counter("earwitness_dead_letters_total", "Messages given up.", ["topic"])
outbox_published_total = Counter("earwitness_outbox_published_total", "Events published from an outbox.", ["event"])
outbox_lag_seconds = Timings("earwitness_outbox_lag_seconds", "From an event's write to its publication.", buckets=_LAG_BUCKETS)
stage_seconds = Histogram("earwitness_stage_seconds", "One unit of a stage's work.", ["stage"], buckets=_STAGE_BUCKETS)
jobs = Gauge("earwitness_jobs", "Slots of this process, by what they do.", ["queue", "state"])
queue_depth = Gauge("earwitness_queue_depth", "Units that wait.", ["queue"])
queue_oldest_age_seconds = Gauge("earwitness_queue_oldest_age_seconds", "How long the oldest of them has waited.", ["queue"])
queue_probe_failures_total = Counter("earwitness_queue_probe_failures_total", "Times a queue could not be asked.", ["queue"])
webhook_attempts_total = Counter("earwitness_webhook_attempts_total", "Deliveries attempted.", ["outcome"])
transcribed_seconds_total = Counter("earwitness_transcribed_seconds_total", "Audio transcribed.", ["provider", "project_id"])
transcription_cost_total = Counter(
    "earwitness_transcription_cost_total", "What it cost, in the currency of the prices given.", ["provider", "project_id"]
)
provider_copies_total = Counter(
    "earwitness_provider_copies_total", "Transcripts that providers kept, by what became of them.", ["provider", "outcome"]
)
leases_lost_total = Counter("earwitness_leases_lost_total", "Jobs whose lease another worker took.", ["queue"])
live_streams = Gauge("earwitness_live_streams", "Recordings that are being followed.")


class QueueGauge:
    """Keeps `queue_depth` and `queue_oldest_age_seconds` of one queue true at scrape."""

    def __init__(self, name: str, probe: QueueProbe, *, timeout_s: float = PROBE_TIMEOUT_S) -> None:
        self._name = name
        self._probe = probe
        self._timeout_s = timeout_s
        self._asked_at = -PROBE_CACHE_S
        self._refreshing: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Ask the probe unless it was asked within the last second; scrapes at the same moment share one answer."""
        if self._refreshing is None or self._refreshing.done():
            if time.monotonic() - self._asked_at < PROBE_CACHE_S:
                return
            self._refreshing = asyncio.create_task(self._ask(), name=f"probe-{self._name}")
        await asyncio.shield(self._refreshing)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                depth, oldest_age_s = await self._probe()
        except Exception:  # noqa: BLE001  # whatever a probe raises, the scrape goes on
            queue_probe_failures_total.labels(self._name).inc()
            self.forget()
        else:
            queue_depth.labels(self._name).set(depth)
            queue_oldest_age_seconds.labels(self._name).set(oldest_age_s)
        self._asked_at = time.monotonic()

    def forget(self) -> None:
        """Take the queue's series away."""
        for gauge in (queue_depth, queue_oldest_age_seconds):
            gauge.remove(self._name)


_queues: dict[str, QueueGauge] = {}


def register_queue(name: str, probe: QueueProbe) -> None:
    """Report the queue `name` at each scrape by asking `probe`; a second registration replaces the first."""
    _queues[name] = QueueGauge(name, probe)


def unregister_queue(name: str) -> None:
    """Stop reporting the queue `name`."""
    if gauge := _queues.pop(name, None):
        gauge.forget()


async def exposition(accept: str = "") -> tuple[bytes, str]:
    """Return the body and the content type that answer a scrape with the header `Accept: <accept>`."""
    await asyncio.gather(*(gauge.refresh() for gauge in list(_queues.values())))
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type
