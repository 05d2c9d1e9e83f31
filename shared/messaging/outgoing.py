"""Messages on their way out, put in batches here: aiokafka takes them one by one, with a future and a slow hash for each."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any
from zlib import crc32

import msgspec
from aiokafka.errors import MessageSizeTooLargeError  # type: ignore[import-untyped]  # no types

MAX_MESSAGE_BYTES = 1024 * 1024
_OVERHEAD_BYTES = 4096  # what a message's framing may take, and the usual headers

Client = Any  # aiokafka's producer and batches, which have no types of their own

Acknowledgement = asyncio.Future[Any]


Headers = list[tuple[str, bytes]]


class Message(msgspec.Struct, frozen=True):
    """What goes to Kafka; messages of one key keep their order within a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def as_sent(headers: Headers, event_id: bytes | None) -> Headers:
    """Return a message's headers as FastStream sends them: the event's id is the correlation id, too."""
    correlation = [("correlation_id", event_id)] if event_id else []
    return [("content-type", b""), *correlation, *headers]


async def send(producer: Client, messages: Sequence[Message]) -> None:
    """Send all; return once all are acknowledged.

    A message larger than Kafka takes raises `MessageSizeTooLargeError`, and none is sent; other errors are aiokafka's.
    """
    for message in messages:
        _check_size(message)
    lanes = defaultdict[tuple[str, int], list[Message]](list)
    partitions = {topic: sorted(await producer.partitions_for(topic)) for topic in {message.topic for message in messages}}
    for message in messages:
        lanes[message.topic, partition_of(message.key, partitions[message.topic])].append(message)
    acknowledgements = set[Acknowledgement]()
    for (topic, partition), lane in lanes.items():
        for batch in _batches(producer, lane):
            acknowledgement = await producer.send_batch(batch, topic, partition=partition)
            acknowledgement.add_done_callback(_note)
            acknowledgements.add(acknowledgement)
    done, _ = await asyncio.wait(acknowledgements, return_when=asyncio.FIRST_EXCEPTION)
    for acknowledgement in done:
        acknowledgement.result()


def partition_of(key: bytes | None, partitions: Sequence[int]) -> int:
    """Return the partition of a key, by its CRC-32 as librdkafka's clients choose it; of no key, any.

    The hash of Kafka's Java clients is arithmetic that Python takes ten times as long for.
    """
    if key is None:
        return random.choice(partitions)  # noqa: S311 - to spread load
    return partitions[crc32(key) % len(partitions)]


def _batches(producer: Client, messages: Sequence[Message]) -> Iterator[Client]:
    """Yield batches that hold the messages in order; each is full but for the last."""
    batch = producer.create_batch()
    for message in messages:
        if not _fits(batch, message):
            yield batch
            batch = producer.create_batch()
            _fits(batch, message)  # the first always does
    batch.close()
    yield batch


def _fits(batch: Client, message: Message) -> bool:
    """Append the message unless the batch is full, which closes it."""
    return batch.append(timestamp=None, key=message.key, value=message.value, headers=message.headers) is not None


def _note(acknowledgement: Acknowledgement) -> None:
    """Take notice of an error that comes when nobody waits any more; whoever waited has been told of another or of the time."""
    if not acknowledgement.cancelled():
        acknowledgement.exception()


def _check_size(message: Message) -> None:
    headers = sum(map(len, chain.from_iterable(message.headers)))
    size = len(message.key or b"") + len(message.value or b"") + headers + _OVERHEAD_BYTES
    if size > MAX_MESSAGE_BYTES:
        raise MessageSizeTooLargeError(f"a message of {size} bytes for {message.topic}: {MAX_MESSAGE_BYTES} are taken at most")
