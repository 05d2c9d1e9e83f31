"""Metrics: the names that dashboards rely on, and queues that are asked when somebody looks."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.telemetry import metrics

EXPECTED = {
    "earwitness_http_requests": {"method", "route", "status"},
    "earwitness_http_request_seconds": {"method", "route", "le"},
    "earwitness_messages_handled": {"topic", "group", "outcome"},
    "earwitness_message_seconds": {"topic", "group", "le"},
    "earwitness_message_retries": {"topic"},
    "earwitness_dead_letters": {"topic"},
    "earwitness_outbox_published": {"event"},
    "earwitness_outbox_lag_seconds": {"le"},
    "earwitness_stage_seconds": {"stage", "le"},
    "earwitness_jobs": {"queue", "state"},
    "earwitness_queue_depth": {"queue"},
    "earwitness_queue_oldest_age_seconds": {"queue"},
    "earwitness_webhook_attempts": {"outcome"},
    "earwitness_leases_lost": {"queue"},
}


@pytest.fixture
def queue():
    yield "tested"
    metrics.unregister_queue("tested")


async def scraped() -> dict[str, list]:
    body, content_type = await metrics.exposition()
    assert content_type.startswith("text/plain")
    return {family.name: family.samples for family in text_string_to_metric_families(body.decode())}


async def depth_of(queue: str) -> float | None:
    samples = (await scraped())["earwitness_queue_depth"]
    return next((sample.value for sample in samples if sample.labels == {"queue": queue}), None)


async def test_every_metric_is_exposed_under_its_name_and_labels(queue):
    async def probe() -> tuple[int, float]:
        return 1, 1.0

    metrics.register_queue(queue, probe)
    metrics.http_requests_total.labels(method="GET", route="/v1/recordings", status="200").inc()
    metrics.http_request_seconds.labels("GET", "/v1/recordings").observe(0.01)
    metrics.messages_handled_total.labels(topic="t", group="g", outcome="ok").inc()
    metrics.message_seconds.labels(topic="t", group="g").observe(0.01)
    metrics.message_retries_total.labels(topic="t").inc()
    metrics.dead_letters_total.labels(topic="t").inc()
    metrics.outbox_published_total.labels(event="recording.uploaded").inc()
    metrics.outbox_lag_seconds.labels().observe(0.01)
    metrics.stage_seconds.labels(stage="stitch").observe(3000)
    metrics.jobs.labels(queue="q", state="running").set(1)
    metrics.webhook_attempts_total.labels(outcome="delivered").inc()
    metrics.leases_lost_total.labels(queue="q").inc()
    families = await scraped()
    found = {name: set().union(*(sample.labels for sample in families[name])) for name in EXPECTED}
    assert found == EXPECTED


async def test_a_queue_is_asked_at_scrape_and_not_again_while_its_answer_is_fresh(queue, monkeypatch):
    asked = 0
    assert metrics.PROBE_CACHE_S == 1.0
    monkeypatch.setattr(metrics, "PROBE_CACHE_S", 300.0)  # a second may pass between two scrapes of a busy process

    async def probe() -> tuple[int, float]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return 7, 1.5

    metrics.register_queue(queue, probe)
    assert asked == 0
    assert await asyncio.gather(*(depth_of(queue) for _ in range(5))) == [7] * 5
    assert await depth_of(queue) == 7
    assert asked == 1
    monkeypatch.setattr(metrics, "PROBE_CACHE_S", 0.0)
    assert await depth_of(queue) == 7
    assert asked == 2


async def test_a_queue_that_cannot_be_asked_disappears_until_it_can(queue):
    async def broken() -> tuple[int, float]:
        raise ConnectionError

    async def working() -> tuple[int, float]:
        return 2, 0.0

    metrics.register_queue(queue, working)
    assert await depth_of(queue) == 2
    metrics.register_queue(queue, broken)
    assert await depth_of(queue) is None
    metrics.register_queue(queue, working)
    assert await depth_of(queue) == 2
    failures = (await scraped())["earwitness_queue_probe_failures"]
    assert [sample.value for sample in failures if sample.labels == {"queue": queue}] == [1.0]


async def test_a_queue_that_does_not_answer_does_not_hold_the_scrape(queue):
    async def silent() -> tuple[int, float]:
        await asyncio.Event().wait()
        return 0, 0.0

    gauge = metrics.QueueGauge(queue, silent, timeout_s=0.01)
    async with asyncio.timeout(5):
        await gauge.refresh()
    assert await depth_of(queue) is None


async def test_a_scraper_may_ask_for_openmetrics():
    body, content_type = await metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
