"""Events that a consumer reads again long after they happened, as when its offsets are lost, are news to nobody."""

from datetime import timedelta

import msgspec
import pytest

from services.webhooks.fan_out import LOOK_BACK
from shared.domain.clock import now
from shared.domain.webhook import DisabledReason, EndpointStatus
from tests.fakes.webhook_facts import TENANT, an_upload

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def old(stage):
    """An event of half an hour ago, kept as the relay keeps it."""
    event = msgspec.structs.replace(an_upload(), occurred_at=now() - LOOK_BACK - 20 * MINUTE)
    await stage.events.keep([event])
    return event


async def endpoint_of_an_hour(stage, receiver, path):
    return await stage.endpoint(receiver.url(path), created_at=now() - 60 * MINUTE)


async def test_an_endpoint_that_was_disabled_then_does_not_hear_them_once_it_is_enabled(stage, receiver, old):
    resting, awake = [await endpoint_of_an_hour(stage, receiver, path) for path in ("/resting", "/awake")]
    assert await stage.endpoints.disable(resting, DisabledReason.GONE)
    await stage.fan_out(old)
    await stage.marks.flush()
    disabled = await stage.present(resting)
    await stage.endpoints.save(disabled, msgspec.structs.replace(disabled, status=EndpointStatus.ENABLED, version=9))
    await stage.fan_out(old)
    assert await stage.rows(resting) == []
    assert (await stage.only(awake)).event_id == old.event_id
    (heard,) = await receiver.received(1)
    assert heard.path == "/awake"


async def test_deliveries_that_were_forgotten_meanwhile_are_not_made_again(stage, mongo, receiver, old):
    endpoint = await endpoint_of_an_hour(stage, receiver, "/hook")
    await stage.fan_out(old)
    await stage.marks.flush()
    await receiver.received(1)
    await mongo.database["webhook_deliveries"].delete_many({"endpoint_id": endpoint.id})
    await stage.fan_out(old)
    assert await stage.rows(endpoint) == []


async def test_what_nobody_was_told_of_is_told_however_old_it_is(stage, receiver, old):
    endpoint = await endpoint_of_an_hour(stage, receiver, "/hook")
    await stage.fan_out(old)
    assert (await stage.only(endpoint)).event_id == old.event_id
    await stage.marks.flush()
    assert await stage.events.not_fanned_out(now(), 10) == []


async def test_what_is_not_kept_any_more_is_told(stage, mongo, receiver, old):
    endpoint = await endpoint_of_an_hour(stage, receiver, "/hook")
    await mongo.database["events"].delete_one({"_id": old.event_id})
    await stage.fan_out(old)
    assert (await stage.only(endpoint)).project_id == TENANT.project_id
