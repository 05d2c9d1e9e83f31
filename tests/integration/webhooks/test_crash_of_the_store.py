"""mongod is killed between the writes on an event's way out: what was shown or drafted may be gone, the event never is."""

import asyncio
import contextlib

import pytest
from aiohttp import web

from shared.domain.clock import now
from shared.domain.delivery import DeliveryStatus
from shared.domain.errors import TransientFailure
from shared.domain.recording import RecordingStatus
from shared.events.recording import RecordingCreated, recording_event
from shared.messaging.relay import Relay
from shared.settings import MongoSettings
from shared.storage.events import Events
from shared.storage.mongo import Mongo
from shared.storage.recordings import Recordings
from tests.fakes.kept_events import kept_events
from tests.fakes.webhook_facts import a_creation, a_recording


@pytest.fixture
def mongod(servers):
    return servers.mongo()


class Crash:
    """Takes the place of whatever comes next: kills mongod, starts it again and fails as the driver does."""

    def __init__(self, mongod, until):
        self._mongod, self._until = mongod, until
        self.crashed = False

    async def __call__(self, *arguments):
        if not self.crashed:
            self.crashed = True
            await asyncio.to_thread(self._mongod.kill)
            await asyncio.to_thread(self._mongod.start)
        return await self._until(*arguments)


class Broker:
    """Where events are published."""

    def __init__(self):
        self.published = []

    async def publish(self, events):
        self.published += events


async def until(unfinished, within_s=60):
    """Return once there is nothing left; a store that is away says nothing."""
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(TransientFailure):
                if not await unfinished():
                    return
            await asyncio.sleep(0.05)


async def left_behind(recordings, broker):
    return await recordings.unpublished(now(), 10) or not broker.published


async def undelivered(stage, endpoint):
    rows = await stage.rows(endpoint)
    return [row.status for row in rows] != [DeliveryStatus.SUCCEEDED]


@pytest.mark.parametrize("step", ["publish", "keep", "remove_published"])
async def test_an_event_outlives_a_crash_at_each_step_of_its_way_out_of_the_outbox(mongod, step):
    mongo = Mongo(MongoSettings(mongo_url=mongod.url, mongo_database="crash"))
    recordings, events, broker = Recordings(mongo), Events(mongo), Broker()
    relay = Relay([recordings], events, broker, recordings)
    for collection in (recordings, events):
        await collection.ensure_indexes()
    recording = a_recording(status=RecordingStatus.PENDING)
    event = recording_event(RecordingCreated, recording)
    await recordings.add(recording, event)
    of = {"publish": broker, "keep": events, "remove_published": recordings}[step]
    setattr(of, step, Crash(mongod, getattr(of, step)))
    relay.nudge("recordings", event.recording_id, [event])
    running = asyncio.create_task(relay.run())
    await until(lambda: left_behind(recordings, broker))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await asyncio.to_thread(mongod.kill)  # what is for good outlives this, too
    await asyncio.to_thread(mongod.start)
    assert {published.event_id for published in broker.published} == {event.event_id}
    assert [kept.event_id for kept in await kept_events(events, event.project_id, event.recording_id)] == [event.event_id]
    mongo.close()


async def test_a_delivery_that_a_crash_undid_is_made_again_and_ends(mongod, make_stage, make_receiver):
    mongo, receiver = Mongo(MongoSettings(mongo_url=mongod.url, mongo_database="crash")), await make_receiver()
    stage = await make_stage(mongo, lease_s=1.0)
    endpoint = await stage.endpoint(receiver.url())
    stage.deliveries.add_new = Crash(mongod, stage.deliveries.add_new)
    stage.run()
    event = a_creation()
    with contextlib.suppress(TransientFailure):
        await stage.fan_out(event)
    await stage.fan_out(event)  # as the consumer does with what failed; on a replay nothing changes
    await until(lambda: undelivered(stage, endpoint))
    assert {heard.json["id"] for heard in receiver.heard} == {event.event_id}
    mongo.close()


async def test_drafts_that_a_crash_undid_are_confirmed_though_later_events_were_handled_meanwhile(
    mongod, make_stage, make_receiver
):
    mongo = Mongo(MongoSettings(mongo_url=mongod.url, mongo_database="crash"))
    restarted = asyncio.Event()

    async def answer_later(_request):
        await restarted.wait()
        return web.Response()

    receiver = await make_receiver(default=answer_later)
    stage = await make_stage(mongo, lease_s=3.0, timeout_s=60.0)
    endpoint = await stage.endpoint(receiver.url())
    events = [a_creation() for _ in range(6)]
    for event in events:  # one batch after the other, nothing written for good since
        await stage.fan_out.draft(event)
    await receiver.received(6)
    await asyncio.to_thread(mongod.kill)
    await asyncio.to_thread(mongod.start)
    restarted.set()
    await until(lambda: unconfirmed(stage, endpoint, 6))
    await stage.marks.flush()
    stage.run()
    await until(lambda: unsettled(stage, endpoint))
    assert sorted(row.event_id for row in await stage.rows(endpoint)) == sorted(event.event_id for event in events)
    assert {heard.json["id"] for heard in receiver.heard} == {event.event_id for event in events}
    mongo.close()


async def unconfirmed(stage, endpoint, count):
    await stage.fan_out.confirm()
    return len(await stage.rows(endpoint)) != count


async def unsettled(stage, endpoint):
    return {row.status for row in await stage.rows(endpoint)} != {DeliveryStatus.SUCCEEDED}
