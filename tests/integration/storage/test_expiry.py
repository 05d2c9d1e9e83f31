"""How long events and deliveries are kept is a setting: a start with another value changes the index that is there."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.platform import Platform
from shared.settings import KafkaSettings
from shared.storage.events import Events
from shared.storage.webhook_deliveries import WebhookDeliveries

KEPT = {"events": Events, "webhook_deliveries": WebhookDeliveries}
DAY_S = 86_400


async def expiry_of(mongo, name):
    return (await mongo.database[name].index_information())["expiry"]["expireAfterSeconds"]


@pytest.mark.parametrize("name", KEPT)
async def test_a_changed_expiry_time_is_in_force_after_the_next_start(mongo, name):
    for days in (30, 5, 60):
        await KEPT[name](mongo, timedelta(days=days)).ensure_indexes()
        assert await expiry_of(mongo, name) == days * DAY_S


@pytest.mark.parametrize("name", KEPT)
async def test_replicas_that_start_together_with_another_expiry_time_all_start(mongo, name):
    before, after = KEPT[name](mongo, timedelta(days=30)), KEPT[name](mongo, timedelta(days=5))
    await before.ensure_indexes()
    await mongo.database[name].insert_many([{"_id": number, "created_at": now(), "event_id": number} for number in range(500)])
    await asyncio.gather(*(replica.ensure_indexes() for replica in (before, *[after] * 8, before)))
    await after.ensure_indexes()
    assert await expiry_of(mongo, name) == 5 * DAY_S


async def test_the_platform_keeps_events_as_long_as_the_setting_says(mongo, mongo_settings):
    settings = msgspec.structs.replace(mongo_settings, events_keep_days=3)
    platform = Platform("ingest", settings, KafkaSettings(kafka_servers=("127.0.0.1:1",)))
    await platform.events.ensure_indexes()
    assert await expiry_of(mongo, "events") == 3 * DAY_S
    platform.mongo.close()
