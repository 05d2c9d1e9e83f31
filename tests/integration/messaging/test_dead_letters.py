"""Messages in forms that only others send, on a real broker: each is given up, whole or told of, and consuming goes on."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as DefaultRecordBatchBuilder

from shared.events.codec import encode
from shared.events.recording import UploadClaimed
from shared.messaging.dead_letter import DeadLetters
from shared.messaging.topology import ensure_topics
from tests.integration.messaging.conftest import DEADLINE_S, claimed

TOPIC = "upload.claimed"
GOOD = encode(claimed(0))
NEARLY_ALL_OF_A_MEGABYTE = 1_046_000


@asynccontextmanager
async def foreign(kafka):
    """A producer that is not ours: it sends whatever Kafka takes."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.settings.kafka_servers[0])
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@pytest.mark.parametrize(
    "value",
    [
        GOOD.replace(b'"rec_1"', b'"rec_\xff"'),
        b'{"type":"\xed\xa0\x80"}',
        GOOD[:-1] + b',"new":' + b"[" * 100_000,
        GOOD[:-1] + b',"version":' + b"9" * 5000 + b"}",
    ],
    ids=["a broken character", "half a character", "nested without end", "a number without end"],
)
async def test_a_value_that_breaks_the_reader_is_poison_like_any_other(kafka, inbox, event, value):
    await kafka.consume("stitcher", {UploadClaimed: inbox})
    async with foreign(kafka) as producer:
        await producer.send_and_wait(TOPIC, value, key=b"rec_1")
    await kafka.publisher.publish([event(1)])
    ((record, headers),) = await kafka.dead_letters(1)
    assert record.value == value
    assert headers["x-error-type"] == "msgspec.DecodeError" or headers["x-error-type"].endswith("ValidationError")
    await inbox.has("evt_rec_1_1")


async def test_headers_in_any_form_are_kept_as_text(kafka, inbox, event):
    await kafka.consume("stitcher", {UploadClaimed: inbox})
    async with foreign(kafka) as producer:
        strange = [("nothing", None), ("empty", b""), ("bytes", b"a\xff"), ("event_id", None), ("x-service", b"theirs")]
        await producer.send_and_wait(TOPIC, b"poison", key=b"\xff\xfe", headers=strange)
    await kafka.publisher.publish([event(1)])
    ((record, headers),) = await kafka.dead_letters(1)
    assert (record.key, record.value) == (b"\xff\xfe", b"poison")
    assert (headers["nothing"], headers["empty"], headers["bytes"], headers["event_id"]) == ("", "", "a\\xff", "")
    assert headers["x-service"] == "stitcher"
    await inbox.has("evt_rec_1_1")


class NoText(str):
    """The name of a header as clients in C may send it."""

    __slots__ = ()

    def encode(self, *_how):
        return b"na\xefve"


async def send_batch(producer, *values, partition=0):
    """Send one batch to a partition, in which what is `unreadable` has a header whose name is no text."""
    batch, built = producer.create_batch(), DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for offset, value in enumerate(values):
        built.append(offset, 1, b"rec_1", value, [(NoText(), b"v")] if value == b"unreadable" else [])
        batch.append(timestamp=1, key=b"rec_1", value=value, headers=[])
    batch.close()
    batch._buffer = bytearray(built.build())
    await (await producer.send_batch(batch, TOPIC, partition=partition))


async def test_a_message_that_the_client_cannot_read_is_told_of_and_consuming_goes_on(kafka, inbox, event):
    await ensure_topics(kafka.broker)
    async with foreign(kafka) as producer:
        await send_batch(producer, *(encode(event(number)) for number in range(5)), b"unreadable", encode(event(6)))
        await send_batch(producer, b"unreadable")
        await send_batch(producer, encode(event(8)))
    await kafka.consume("stitcher", {UploadClaimed: inbox})
    await inbox.has("evt_rec_1_8")
    assert [one.version for one in inbox.events] == [0, 1, 2, 3, 4, 8]
    letters = await kafka.dead_letters(3)
    assert sorted(headers["x-original-offset"] for _, headers in letters) == ["5", "6", "7"]  # of no key, so in any partition
    for record, headers in letters:
        assert (record.key, record.value, headers["x-value"]) == (None, b"", "left out")
        assert (headers["x-original-topic"], headers["x-error-type"]) == (TOPIC, "builtins.UnicodeDecodeError")


async def test_nothing_of_another_partition_is_lost_by_a_message_that_the_client_cannot_read(kafka, inbox, event):
    go_on = asyncio.Event()

    async def held(heard):
        await inbox(heard)
        await go_on.wait()

    consumer = await kafka.consume("stitcher", {UploadClaimed: held})
    fetched = consumer._membership._client._fetcher._records
    async with foreign(kafka) as producer, asyncio.timeout(DEADLINE_S):
        await producer.send_and_wait(TOPIC, encode(event(0)), partition=1)
        await inbox.has("evt_rec_1_0")
        await send_batch(producer, *(encode(event(number)) for number in range(1, 5)), partition=1)
        while len(fetched) < 1:
            await asyncio.sleep(0.01)
        await send_batch(producer, b"unreadable", partition=0)
        while len(fetched) < 2:
            await asyncio.sleep(0.01)
    go_on.set()
    await inbox.has(*(f"evt_rec_1_{number}" for number in range(5)))
    assert [one.version for one in inbox.events] == [0, 1, 2, 3, 4]
    assert len(await kafka.dead_letters(1)) == 1


async def test_nothing_before_a_message_that_the_client_cannot_read_is_lost_where_fetching_takes_long(
    kafka, inbox, event, monkeypatch
):
    fetch, late = AIOKafkaConsumer.getmany, []

    async def once_late(self, *partitions, **how):
        if partitions and not late:
            late.append(partitions)
            return {}
        return await fetch(self, *partitions, **how)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", once_late)
    await ensure_topics(kafka.broker)
    async with foreign(kafka) as producer:
        await send_batch(producer, encode(event(0)), b"unreadable")
        await send_batch(producer, encode(event(2)))
    await kafka.consume("stitcher", {UploadClaimed: inbox})
    await inbox.has("evt_rec_1_2")
    assert [one.version for one in inbox.events] == [0, 2]
    assert late


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ((b"p" * NEARLY_ALL_OF_A_MEGABYTE, b"mine"), (b"rec_1", b"", "mine")),
        ((b"poison", b"h" * NEARLY_ALL_OF_A_MEGABYTE), (None, b"", None)),
    ],
    ids=["value", "headers"],
)
async def test_what_is_too_large_to_be_sent_again_is_left_out_and_told_of(kafka, inbox, event, sent, kept):
    value, own = sent
    await kafka.consume("stitcher", {UploadClaimed: inbox})
    async with foreign(kafka) as producer:
        await producer.send_and_wait(TOPIC, value, key=b"rec_1", headers=[("own", own)])
    await kafka.publisher.publish([event(1)])
    ((record, headers),) = await kafka.dead_letters(1)
    assert (record.key, record.value, headers.get("own")) == kept
    assert (headers["x-value"], headers["x-original-topic"], headers["x-original-offset"]) == ("left out", TOPIC, "0")
    await inbox.has("evt_rec_1_1")


async def test_a_message_that_cannot_be_buried_holds_up_nothing_but_what_stands_behind_it(kafka, inbox, event, monkeypatch):
    mended, bury = asyncio.Event(), DeadLetters.bury

    async def once_mended(self, record, error, attempts):
        if not mended.is_set():
            raise AttributeError("a defect")
        await bury(self, record, error, attempts)

    monkeypatch.setattr(DeadLetters, "bury", once_mended)
    await kafka.consume("stitcher", {UploadClaimed: inbox})
    async with foreign(kafka) as producer:
        await producer.send_and_wait(TOPIC, b"poison", key=b"rec_1")
    others = [event(1, f"rec_{number}") for number in range(2, 12)]  # enough to meet every partition
    await kafka.publisher.publish([event(1), *others])
    await inbox.has(*(other.event_id for other in others))
    assert "evt_rec_1_1" not in inbox.ids
    mended.set()
    await inbox.has("evt_rec_1_1")
    assert len(await kafka.dead_letters(1)) == 1
