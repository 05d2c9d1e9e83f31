"""Receivers that fail, and messages that nobody can read: deliveries are repeated, dead letters kept, all else goes on."""

import asyncio
import secrets

import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from shared.events.topics import DEAD_LETTER_TOPIC, TOPICS
from tests.e2e.audio import tone
from tests.e2e.watching import LOOK_S, STREAMED, Listener, completed, until
from tests.fakes.webhook_receiver import assert_signed


async def test_a_receiver_that_fails_hears_the_same_bytes_again_freshly_signed(project, receiver, evidence):
    receiver.script.extend([500, 503])
    listener = await Listener.at(receiver, project, "recording.created")
    recording = await project.open()
    heard = await receiver.received(3)
    assert [one.json["data"]["id"] for one in heard] == [recording["id"]] * 3
    assert len({one.body for one in heard}) == len({one.header("webhook-id") for one in heard}) == 1
    for one in heard:
        assert_signed(listener.secret, one)  # with the time of the attempt, not of the event
    assert heard[1].at - heard[0].at > 0.2  # the schedule's first pause is 0.3 s, a tenth more or less
    assert heard[2].at - heard[1].at > 0.5
    await until(lambda: evidence.settled(project.id))
    (row,) = evidence.deliveries(listener.id)
    assert (row["status"], [attempt["status_code"] for attempt in row["attempts"]]) == ("succeeded", [500, 503, 200])
    assert len(receiver.heard) == 3


async def test_one_endpoint_that_fails_does_not_keep_others_from_hearing(project, receiver, evidence):
    async def refuse(request):
        return web.Response(status=500 if request.path == "/broken" else 200)

    receiver.default = refuse
    broken, sound = await Listener.at(receiver, project, path="/broken"), await Listener.at(receiver, project, path="/sound")
    recording_id = await project.stream([tone(61)])
    await sound.hears(recording_id, *STREAMED)
    assert tuple(sound.types(recording_id)) == STREAMED
    receiver.default = 200
    await broken.hears(recording_id, *STREAMED)
    await until(lambda: evidence.settled(project.id))
    broken.assert_repeats_are_equal()
    for listener in (broken, sound):
        await evidence.assert_each_delivered_once(listener.id, set(STREAMED))


async def test_a_receiver_that_is_away_hears_of_everything_when_it_is_back(project, receiver, evidence):
    listener = await Listener.at(receiver, project, "recording.uploaded", "recording.stitched")
    port = receiver.port
    await receiver.stop()
    recording_id = await project.upload(tone(62), content_type="audio/ogg")
    await until(lambda: any(row["attempts_made"] for row in evidence.deliveries(listener.id)))
    await receiver.start(port=port)
    await listener.hears(recording_id, "recording.uploaded", "recording.stitched")
    await evidence.assert_each_delivered_once(listener.id, {"recording.uploaded", "recording.stitched"})
    attempts = [attempt for row in evidence.deliveries(listener.id) for attempt in row["attempts"]]
    assert {attempt["error"] for attempt in attempts if attempt["status_code"] is None} == {"connection_failed"}


async def test_a_receiver_that_is_gone_is_not_asked_again(project, receiver):
    receiver.default = 410
    listener = await Listener.at(receiver, project)
    await project.open()
    async with asyncio.timeout(30):
        while (await project.client.get(f"/v1/webhook-endpoints/{listener.id}"))["status"] != "disabled":
            await asyncio.sleep(LOOK_S)
    assert len(listener.heard) == 1


@pytest.fixture
async def kafka(stack):
    """A client of the broker itself."""
    servers = stack.stack.broker.servers
    producer, consumer = AIOKafkaProducer(bootstrap_servers=servers), AIOKafkaConsumer(bootstrap_servers=servers)
    await producer.start()
    await consumer.start()
    yield producer, consumer
    await producer.stop()
    await consumer.stop()


async def test_a_message_nobody_can_read_is_dead_lettered_from_every_topic_and_all_else_goes_on(
    project, receiver, evidence, kafka, stack
):
    producer, consumer = kafka
    listener = await Listener.at(receiver, project)
    pids = {name: service.child.pid for name, service in stack.stack.services.items()}
    partitions = [TopicPartition(DEAD_LETTER_TOPIC, number) for number in consumer.partitions_for_topic(DEAD_LETTER_TOPIC)]
    consumer.assign(partitions)
    await consumer.seek_to_end()
    poison = {name: b"\xff\x00 poison " + secrets.token_bytes(20) for name in TOPICS}
    for name, value in poison.items():
        await producer.send_and_wait(name, value, key=b"rec_poisoned", headers=[("traceparent", b"00-poison")])
    wanted = {(name, group) for name, topic in TOPICS.items() for group in topic.consumers}
    recording_id = await project.stream([tone(63), tone(64)])
    letters = await dead_letters(consumer, wanted)
    for (name, group), letter in letters.items():
        assert (letter.key, letter.value) == (b"rec_poisoned", poison[name])
        headers = {key: value.decode() for key, value in letter.headers}
        assert headers["x-error-type"].startswith("msgspec.")
        assert headers["x-error-message"]
        assert headers["traceparent"] == "00-poison"
        assert "Traceback" in headers["x-error-stack"]
        assert {"x-original-partition", "x-original-offset", "x-attempts", "x-failed-at"} <= headers.keys()
        assert headers["x-service"] == group
    await completed(project, recording_id)
    assert await evidence.tones(recording_id) == [63, 64]
    await listener.hears(recording_id, *STREAMED)
    assert await consumer.getmany(timeout_ms=0) == {}  # each was given up once
    assert {name: service.child.pid for name, service in stack.stack.services.items()} == pids


async def dead_letters(consumer, wanted):
    """The dead letters of these topics and groups, once all are there."""
    found = {}
    try:
        async with asyncio.timeout(60):
            while not wanted <= found.keys():
                letter = await consumer.getone()
                headers = dict(letter.headers)
                origin = (headers["x-original-topic"].decode(), headers["x-service"].decode())
                assert origin not in found
                found[origin] = letter
    except TimeoutError:
        raise AssertionError(f"no dead letters of {sorted(wanted - found.keys())}") from None
    return found


async def test_an_event_in_the_wrong_topic_is_dead_lettered_and_changes_nothing(project, evidence, kafka, stack):
    producer, consumer = kafka
    recording_id = await project.upload(tone(65), content_type="audio/ogg")
    await until(lambda: evidence.settled(project.id))
    before = evidence.recording(recording_id)
    consumer.assign([TopicPartition(DEAD_LETTER_TOPIC, number) for number in consumer.partitions_for_topic(DEAD_LETTER_TOPIC)])
    await consumer.seek_to_end()
    event = evidence.message(recording_id, "recording.created")
    await producer.send_and_wait("recording.stitched", event, key=recording_id.encode())
    await dead_letters(consumer, {("recording.stitched", "transcriber"), ("recording.stitched", "webhooks")})
    assert evidence.recording(recording_id) == before


async def test_a_replayed_event_changes_nothing_and_is_not_told_again(project, receiver, evidence, kafka):
    producer, _ = kafka
    listener = await Listener.at(receiver, project)
    recording_id = await project.stream([tone(66)])
    await listener.hears(recording_id, *STREAMED)
    await until(lambda: evidence.settled(project.id))
    before = evidence.recording(recording_id)
    for kind in STREAMED:
        await producer.send_and_wait(kind, evidence.message(recording_id, kind), key=recording_id.encode())
    after = await project.stream([tone(67)])  # comes behind them in some of the partitions, and soon after in the others
    await completed(project, after)
    await listener.hears(after, *STREAMED)
    assert evidence.recording(recording_id) == before
    assert len(evidence.transcriptions(recording_id)) == 1
    assert len(listener.of(recording_id)) == len(STREAMED)
