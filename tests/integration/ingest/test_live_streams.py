"""The live view on a real MongoDB and a real broker: every position resumes exactly, whatever becomes of the broker."""

import asyncio
import contextlib
import json

import httpx
import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.tenant import Tenant
from shared.events.recording import RecordingCreated, recording_event
from shared.settings import KafkaSettings
from tests.fakes.api_client import ApiClient
from tests.fakes.kept_events import kept_events
from tests.integration.ingest.conftest import Servers, until

SOON_S = 20.0


class Client:
    """Reads one stream line by line."""

    def __init__(self, response):
        self.response = response
        self._lines = response.aiter_lines()

    async def event(self):
        """Return the next event as (id, type, body), or None at the end."""
        fields = {}
        async with asyncio.timeout(SOON_S):
            async for line in self._lines:
                if not line and "id" in fields:
                    return fields["id"], fields["event"], json.loads(fields["data"])
                name, _, value = line.partition(": ")
                fields[name] = value
        return None

    async def ids(self, count):
        return [(await self.event())[0] for _ in range(count)]


@contextlib.asynccontextmanager
async def followed(api: ApiClient, recording_id, since=None):
    headers = {"Authorization": f"Bearer {api.secret}"} | ({"Last-Event-ID": since} if since else {})
    async with api.client.stream("GET", f"{api.url}/v1/recordings/{recording_id}/events", headers=headers) as response:
        assert response.status_code == 200
        yield Client(response)


async def happens(api, recording, number):
    """Keep an event as the relay does, without publishing it."""
    platform = api.service._platform
    kept = await platform.recordings.get(Tenant(recording["project_id"]), recording["id"])
    changes = {"event_id": f"evt_{number:026d}", "occurred_at": now()}
    event = msgspec.structs.replace(recording_event(RecordingCreated, kept), **changes)
    await platform.events.keep([event])
    return event


async def published(api, recording, version):
    event = await happens(api, recording, version)
    await api.service._platform.publisher.publish([event])
    return event.event_id


async def kept_ids(api, recording, count):
    """Return the ids of the recording's kept events once there are so many."""

    async def enough():
        events = await kept_events(api.service._platform.events, recording["project_id"], recording["id"])
        return [event.event_id for event in events] if len(events) >= count else None

    return await until(enough)


def hearing(api):
    async def fact():
        return api.service._hub.is_heard

    return fact


async def test_from_each_position_exactly_the_rest_comes(api):
    recording = await api.recording()
    await kept_ids(api, recording, 1)
    for version in range(6):
        await happens(api, recording, version)
    made = await kept_ids(api, recording, 7)
    async with followed(api, recording["id"]) as client:
        assert await client.ids(7) == made
    for position in range(7):
        async with followed(api, recording["id"], made[position]) as client:
            made.append(await published(api, recording, 100 + position))
            assert await client.ids(len(made) - position - 1) == made[position + 1 :]


async def test_what_another_replica_does_is_heard_through_the_broker(deployment):
    async with deployment.replica() as one, deployment.replica() as two:
        await one.open()
        recording = await one.recording()
        (first,) = await kept_ids(one, recording, 1)
        async with followed(one, recording["id"]) as client:
            assert await client.ids(1) == [first]
            await until(hearing(one))
            for version in range(5):
                event_id = await published(two, recording, version)
                assert await client.ids(1) == [event_id]


async def test_a_broker_that_restarts_in_the_middle_costs_no_event(servers, mongo_settings, bucket_settings):
    broker = servers.kafka()
    kafka = KafkaSettings(kafka_servers=(broker.servers,), kafka_partitions=2, kafka_fetch_wait_ms=20)
    async with Servers(mongo_settings, kafka, bucket_settings).replica() as api:
        await api.open()
        recording = await api.recording()
        made = await kept_ids(api, recording, 1)
        async with followed(api, recording["id"]) as client:
            assert await client.ids(1) == made
            await until(hearing(api))
            await asyncio.to_thread(broker.kill)
            away = [(await happens(api, recording, version)).event_id for version in range(3)]
            assert await client.ids(3) == away
            await asyncio.to_thread(broker.start)
            await until(hearing(api))
            back = [await published(api, recording, 10 + version) for version in range(3)]
            assert await client.ids(3) == back
        async with followed(api, recording["id"], away[-1]) as client:
            assert await client.ids(3) == back


async def test_a_client_that_leaves_gives_its_place_back(deployment):
    async with deployment.replica(live_streams_per_project=1) as api:
        await api.open()
        recording = await api.recording()
        async with followed(api, recording["id"]) as client:
            await client.ids(1)
            status, code, _ = await api.refused("GET", f"/recordings/{recording['id']}/events")
            assert (status, code) == (429, "too_many_streams")

        async def free():
            return not api.service._hub._watches

        await until(free)
        async with followed(api, recording["id"]) as client:
            await client.ids(1)


async def test_a_head_of_a_stream_ends_at_once_and_leaves_its_connection_and_its_place(deployment):
    async with deployment.replica(live_streams_per_project=1) as api:
        await api.open()
        path = f"/recordings/{(await api.recording())['id']}/events"
        one = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(limits=one, timeout=SOON_S) as client:
            headers = {"Authorization": f"Bearer {api.secret}"}
            for _ in range(3):

                async def let_in():
                    return (await client.head(f"{api.url}/v1{path}", headers=headers)).status_code == 200

                await until(let_in)
            assert (await client.get(f"{api.url}/v1/recordings", headers=headers)).status_code == 200


async def test_a_drain_ends_streams_cleanly(api):
    recording = await api.recording()
    async with followed(api, recording["id"]) as client:
        await client.ids(1)
        api.service.health.set_draining()
        assert await client.event() is None


async def test_a_revoked_key_stops_hearing(deployment):
    async with deployment.replica(key_cache_s=0, live_heartbeat_s=1) as api:
        await api.open()
        recording = await api.recording()
        async with followed(api, recording["id"]) as client:
            await client.ids(1)
            (key,) = (await api.admin("GET", f"/projects/{api.project_id}/api-keys"))["data"]
            await api.admin("DELETE", f"/projects/{api.project_id}/api-keys/{key['id']}")
            assert await client.event() is None


@pytest.mark.parametrize("path", ["rec_unknown"])
async def test_nothing_is_streamed_of_what_is_not_there(api, path):
    assert (await api.refused("GET", f"/recordings/{path}/events"))[:2] == (404, "not_found")
