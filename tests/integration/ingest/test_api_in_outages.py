"""Servers that go away under the API: refusals that say so, nothing half done, and work again when they are back."""

import asyncio

import pytest

from shared.settings import KafkaSettings, MongoSettings
from tests.integration.ingest.conftest import Servers, until
from tests.servers import settings_of


@pytest.fixture
async def private(servers):
    """A deployment with servers of its own, to stop and start."""
    mongo, store, broker = await asyncio.gather(
        *(asyncio.to_thread(start) for start in (servers.mongo, servers.s3, servers.kafka))
    )
    deployment = Servers(
        MongoSettings(mongo_url=mongo.url), KafkaSettings(kafka_servers=(broker.servers,), kafka_partitions=2), settings_of(store)
    )
    deployment.servers = {"mongo": mongo, "store": store, "broker": broker}
    return deployment


async def turn(deployment, name, action):
    await asyncio.to_thread(getattr(deployment.servers[name], action))


async def test_without_a_broker_uploads_are_taken_and_told_of_later(private):
    await turn(private, "broker", "stop")
    async with private.replica() as api:
        await api.open()
        recording = await api.streamed(2)
        await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 2, "duration_ms": 1})
        assert (await api.call("GET", f"{api.url}/health/ready", secret="")).status_code == 200
        await turn(private, "broker", "start")

        async def emptied():
            document = await api.service._platform.mongo.database["recordings"].find_one({"_id": recording["id"]})
            return document["outbox"] == []

        await until(emptied, within_s=30)


async def test_without_mongodb_everything_is_refused_as_unavailable_and_comes_back(private):
    async with private.replica(key_cache_s=60) as api:
        await api.open()
        recording, someone = await api.streamed(1), await api.someone()
        await turn(private, "mongo", "stop")
        refused = await asyncio.gather(
            api.call("GET", f"/recordings/{recording['id']}"),
            api.call("POST", "/recordings", {"end_user_id": someone}),
            api.put_chunk(recording, 2),
            api.call("GET", f"{api.url}/health", secret=""),
            api.call("GET", f"{api.url}/health/ready", secret=""),
        )
        assert [answer.status_code for answer in refused] == [503] * 5
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused[:3])
        assert (await api.call("GET", f"{api.url}/health/live", secret="")).status_code == 200
        await turn(private, "mongo", "start")

        async def back():
            return (await api.call("GET", f"/recordings/{recording['id']}")).status_code == 200

        await until(back)
        assert (await api.put_chunk(recording, 2)).status_code == 200
        assert (await api.ok("GET", "/recordings"))["has_more"] is False


async def test_without_the_object_store_no_chunk_is_acknowledged_and_reads_go_on(private):
    async with private.replica() as api:
        await api.open()
        recording = await api.streamed(1)
        await turn(private, "store", "stop")
        answer = await api.put_chunk(recording, 2)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
        body = {"total_chunks": 1, "final_duration_ms": 1}
        assert (await api.call("POST", f"/recordings/{recording['id']}/finalize", body)).status_code == 503
        assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "streaming"
        await turn(private, "store", "start")

        async def taken():
            return (await api.put_chunk(recording, 2)).status_code == 200

        await until(taken)
        body["total_chunks"] = 2
        assert (await api.ok("POST", f"/recordings/{recording['id']}/finalize", body))["chunks_received"] == 2
