"""A broker that goes away, and one that comes back knowing nothing: both sides go on by themselves."""

import asyncio
import contextlib
import gc
import socket
import struct

import pytest
import uvloop
from aiokafka.admin import AIOKafkaAdminClient

from shared.events.codec import decode
from shared.events.recording import UploadClaimed
from shared.messaging.broker import BrokerUnavailable, check_broker, kafka_broker, producer_of, reopen
from shared.messaging.publisher import EventPublisher, message_of
from shared.messaging.topology import ensure_topics, missing_topics
from shared.settings import KafkaSettings
from shared.telemetry.health import Health
from tests.integration.messaging.conftest import Kafka


@pytest.fixture
async def tansu(servers):
    return servers.kafka()


@pytest.fixture
async def kafka(tansu):
    kafka = Kafka(tansu.servers)
    yield kafka
    await kafka.close()


async def test_publisher_and_consumer_survive_a_broker_that_comes_back_empty(kafka, tansu, inbox, event):
    await kafka.consume("wipe", {UploadClaimed: inbox})
    await kafka.publisher.publish([event(number) for number in range(30)])
    await inbox.has("evt_rec_1_29")

    await asyncio.to_thread(tansu.wipe)
    await kafka.publisher.publish([event(number) for number in range(30, 35)])
    await inbox.has(*(f"evt_rec_1_{number}" for number in range(30, 35)))

    await asyncio.to_thread(tansu.wipe)
    await kafka.publisher.publish([event(100)])
    await inbox.has("evt_rec_1_100")


async def test_publishing_to_a_broker_that_is_away_fails_within_its_time_and_works_once_it_is_back(kafka, tansu, inbox, event):
    await kafka.consume("away", {UploadClaimed: inbox})
    await kafka.publisher.publish([event(1)])
    await asyncio.to_thread(tansu.kill)
    with pytest.raises(BrokerUnavailable):
        await asyncio.wait_for(EventPublisher(kafka.broker, timeout_s=1.5).publish([event(2)]), 4)
    with pytest.raises(BrokerUnavailable):
        await asyncio.wait_for(check_broker(kafka.broker), 8)
    await asyncio.to_thread(tansu.restart)
    await kafka.publisher.publish([event(2)])
    await check_broker(kafka.broker)
    await inbox.has("evt_rec_1_2")


async def test_stopping_does_not_wait_for_a_broker_that_is_away(kafka, tansu, inbox, event):
    consumer = await kafka.consume("stop", {UploadClaimed: inbox})
    await kafka.publisher.publish([event(1)])
    await asyncio.to_thread(tansu.kill)
    with pytest.raises(BrokerUnavailable):
        await kafka.publisher.publish([event(2)])
    async with asyncio.timeout(10):
        await consumer.stop(grace_s=6)
        await kafka.broker.stop()


async def test_a_connection_opened_anew_serves_publishers_and_leaves_consumers_in_place(kafka, inbox, event):
    await kafka.consume("reopen", {UploadClaimed: inbox})
    await kafka.publisher.publish([event(1)])
    await reopen(kafka.broker)
    await kafka.publisher.publish([event(2)])
    await inbox.has("evt_rec_1_1", "evt_rec_1_2")


async def test_a_consumer_started_before_its_broker_joins_when_it_comes(kafka, tansu, inbox, event):
    await asyncio.to_thread(tansu.kill)
    consuming = asyncio.create_task(kafka.consume("early", {UploadClaimed: inbox}))
    with pytest.raises(BrokerUnavailable):
        await check_broker(kafka.broker)
    await asyncio.to_thread(tansu.restart)
    await consuming
    await kafka.publisher.publish([event(1)])
    await inbox.has("evt_rec_1_1")


async def test_topics_are_made_as_often_as_they_are_missing(kafka, tansu):
    await ensure_topics(kafka.broker)
    await ensure_topics(kafka.broker)
    assert await missing_topics(kafka.broker) == set()
    await asyncio.to_thread(tansu.wipe)
    await ensure_topics(kafka.broker)
    described = await kafka.broker.config.broker_config.admin_client.describe_topics(["upload.claimed"])
    assert len(described[0]["partitions"]) == 2


async def test_what_is_written_to_a_broker_that_came_back_empty_lies_in_topics_that_exist(kafka, tansu, event):
    await kafka.publisher.publish([event(1)])
    await asyncio.to_thread(tansu.wipe)
    for number in range(2, 6):  # Tansu would acknowledge these without a topic, and hide them later
        sent = message_of(event(number))
        await kafka.broker.publish(sent.value, sent.topic, key=sent.key)
    await ensure_topics(kafka.broker)
    await kafka.publisher.publish([event(6)])
    records = await kafka.read("upload.claimed", 5)
    assert [(record.offset, decode(record.value).version) for record in records] == list(enumerate(range(2, 7)))


async def test_nothing_acknowledged_after_a_wipe_is_missing(kafka, tansu, inbox, event):
    await kafka.consume("busy", {UploadClaimed: inbox})
    acknowledged, stopping = [], asyncio.Event()

    async def publish_on():
        number = 0
        while not stopping.is_set():
            sent = event(number := number + 1, f"rec_{number % 5}")
            with contextlib.suppress(BrokerUnavailable):
                await kafka.publisher.publish([sent])
                acknowledged.append(sent.event_id)
            await asyncio.sleep(0.002)  # the pace of the load

    publishing = asyncio.create_task(publish_on())
    for _ in range(3):
        await inbox.until(lambda: len(inbox.ids) % 100 > 50)
        await asyncio.to_thread(tansu.wipe)
        wiped = len(acknowledged) + 1
        await inbox.until(lambda wiped=wiped: len(acknowledged) > wiped + 50 and acknowledged[wiped + 50] in inbox.ids)
        await inbox.has(*acknowledged[wiped:])
    stopping.set()
    await publishing


async def test_without_any_broker_everything_says_so_in_time(event):
    broker = kafka_broker(KafkaSettings(kafka_servers=("127.0.0.1:1",)), "test")
    for attempt in (EventPublisher(broker, timeout_s=1).publish([event(1)]), check_broker(broker), ensure_topics(broker)):
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(attempt, 8)


@pytest.fixture
async def complaints():
    """What objects complain of when they are collected, from now on."""
    gc.collect()
    heard, loop = [], asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: heard.append(context["message"]))
    yield heard
    loop.set_exception_handler(None)


async def test_what_was_begun_with_a_broker_that_is_away_is_not_left_open(complaints):
    broker = kafka_broker(KafkaSettings(kafka_servers=("127.0.0.1:1",)), "test")
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            await check_broker(broker)
    gc.collect()
    assert complaints == []


async def test_a_write_that_is_refused_the_moment_a_connection_is_lost_stops_nobody_for_good(kafka, inbox, event):
    consumer = await kafka.consume("reset", {UploadClaimed: inbox})
    await kafka.publisher.publish([event(1)])
    await inbox.has("evt_rec_1_1")
    for client in (consumer._membership._subscriber.consumer._client, producer_of(kafka.broker).client):
        for connection in client._conns.values():
            connection._writer.write = refused
        async with asyncio.timeout(10):
            while not await client.force_metadata_update():
                await asyncio.sleep(0.05)
    await kafka.publisher.publish([event(2)])
    await inbox.has("evt_rec_1_2")


def refused(_data: bytes) -> None:
    raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")


def test_uvloop_refuses_a_write_before_the_reader_hears_of_the_reset():
    assert uvloop.run(refused_before_heard()) is True


async def refused_before_heard() -> bool:
    """Reset a connection, and say whether a write raised `RuntimeError` while the other side still waited to read."""
    accepted = asyncio.Queue[asyncio.StreamWriter]()
    server = await asyncio.start_server(lambda _reader, writer: accepted.put(writer), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    reading = asyncio.create_task(reader.readexactly(1))
    theirs = await accepted.get()
    theirs.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.transport.abort()
    was_refused = False
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        async with asyncio.timeout(10):
            while not reading.done():
                try:
                    writer.write(b"x")
                except RuntimeError:
                    was_refused = True
                await asyncio.sleep(0)
            await reading
    server.close()
    return was_refused


async def test_whoever_is_cancelled_while_connecting_leaves_nothing_half_open(kafka, inbox, event, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(AIOKafkaAdminClient, "start", forever)
        ready, _ = await Health({"kafka": lambda: check_broker(kafka.broker)}, timeout_s=0.5).readiness()
        assert not ready
    async with asyncio.timeout(20):
        while any(task.get_coro().__qualname__ == "Sender._sender_routine" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.05)
    await check_broker(kafka.broker)
    await kafka.consume("afterwards", {UploadClaimed: inbox})
    await kafka.publisher.publish([event(1)])
    await inbox.has("evt_rec_1_1")


async def forever(_admin):
    await asyncio.Event().wait()
