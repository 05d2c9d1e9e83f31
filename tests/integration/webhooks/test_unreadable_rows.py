"""An endpoint or a delivery in a form that only a newer release knows waits by itself; nobody else is kept back."""

import asyncio

import pytest

from services.webhooks import dispatch
from shared.domain.delivery import DeliveryStatus
from shared.telemetry.logs import captured_lines
from tests.fakes.webhook_facts import an_upload
from tests.fakes.webhook_receiver import eventually

NEWER_ENDPOINT = {"status": "resting"}
NEWER_DELIVERY = {"attempts.0.error": "quantum_noise"}


async def spoil(mongo, collection, row, fields):
    await mongo.database[collection].update_one({"_id": row.id}, {"$set": fields})


async def run_out(stage, others, retried):
    """Have the queue run until the other endpoint heard as often as that; it is still running then."""
    looking = asyncio.create_task(stage.due.run(0.05))
    await others.received(retried)
    assert not looking.done()
    return looking


async def test_the_other_endpoints_of_the_project_hear_what_happens(stage, mongo, receiver):
    newer, other = await stage.endpoint("https://a.example/"), await stage.endpoint(receiver.url())
    await spoil(mongo, "webhook_endpoints", newer, NEWER_ENDPOINT)
    event = an_upload()
    with captured_lines() as lines:
        await stage.fan_out(event)
    (heard,) = await receiver.received(1)
    assert heard.json["id"] == event.event_id
    assert (await stage.only(other)).event_id == event.event_id
    assert [(line["event"], line["of"], line["id"]) for line in lines if "unreadable" in line["event"]] == [
        ("document.unreadable", "webhook_endpoints", newer.id)
    ]


async def test_the_endpoint_is_named_once_a_minute_and_hears_of_what_happens_as_soon_as_it_can_be_read(stage, mongo, receiver):
    endpoint = await stage.endpoint(receiver.url())
    await spoil(mongo, "webhook_endpoints", endpoint, NEWER_ENDPOINT)
    with captured_lines() as lines:
        for _ in range(3):
            await stage.fan_out(an_upload())
    assert [line["id"] for line in lines if "unreadable" in line["event"]] == [endpoint.id]
    await spoil(mongo, "webhook_endpoints", endpoint, {"status": "enabled"})
    event = an_upload()
    await stage.fan_out(event)
    (heard,) = await receiver.received(1)
    assert heard.json["id"] == event.event_id


async def test_what_is_due_elsewhere_is_sent_and_the_endpoint_hears_once_it_can_be_read(stage, mongo, make_receiver, monkeypatch):
    monkeypatch.setattr(dispatch, "UNSIGNED_HOLD", dispatch.UNSIGNED_HOLD / 600)
    its_own, others = await make_receiver(500), await make_receiver(500, 500)
    newer, _ = await stage.endpoint(its_own.url()), await stage.endpoint(others.url())
    await stage.fan_out(an_upload())
    for one in (its_own, others):
        await one.received(1)
    await eventually(lambda: waits(stage, newer))
    await spoil(mongo, "webhook_endpoints", newer, NEWER_ENDPOINT)
    looking = await run_out(stage, others, 3)
    assert len(its_own.heard) == 1
    await spoil(mongo, "webhook_endpoints", newer, {"status": "enabled"})
    await its_own.received(2)
    looking.cancel()


@pytest.fixture
async def short_lived(make_stage):
    return await make_stage(lease_s=0.3, schedule=(0, 0.05, 0.05, 0.05, 0.05, 0.05))


async def test_a_delivery_waits_until_it_can_be_read_and_the_others_do_not(short_lived, mongo, make_receiver):
    stage = short_lived
    its_own, others = await make_receiver(500), await make_receiver(500, 500)
    first, _ = await stage.endpoint(its_own.url()), await stage.endpoint(others.url())
    await stage.fan_out(an_upload())
    for one in (its_own, others):
        await one.received(1)
    row = await eventually(lambda: waits(stage, first))
    await spoil(mongo, "webhook_deliveries", row, NEWER_DELIVERY)
    looking = await run_out(stage, others, 3)
    assert len(its_own.heard) == 1
    await spoil(mongo, "webhook_deliveries", row, {"attempts.0.error": None})
    await its_own.received(2)
    row = await eventually(lambda: ended(stage, first))
    assert row.status is DeliveryStatus.SUCCEEDED
    looking.cancel()


async def waits(stage, endpoint):
    """Return the endpoint's delivery once its first attempt was recorded."""
    row = await stage.only(endpoint)
    return row if row.attempts_made == 1 and row.worker is None else None


async def ended(stage, endpoint):
    row = await stage.only(endpoint)
    return row if row.status is not DeliveryStatus.PENDING else None
