"""Messages on their way out, put in batches here: aiokafka takes them one by one, with a future and a slow hash for each."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from struct import unpack_from
from typing import Any

import msgspec
from aiokafka.errors import MessageSizeTooLargeError  # type: ignore[import-untyped]  # no types

MAX_MESSAGE_BYTES = 1024 * 1024
_OVERHEAD_BYTES = 4096  # what a message's framing may take, and the usual headers

_WORD = 0xFFFFFFFF
_MIX = 0x5BD1E995
_SEED = 0x9747B28C

Client = Any  # aiokafka's producer and batches, which have no types of their own

Acknowledgement = asyncio.Future[Any]


class Message(msgspec.Struct, frozen=True):
    """What goes to Kafka; messages of one key keep their order within a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]


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
    """Return the partition of a key, the one that Kafka's own clients choose; of no key, any."""
    if key is None:
        return random.choice(partitions)  # noqa: S311 - to spread load
    return partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)]


def murmur2(data: bytes) -> int:
    """Return the hash by which Kafka's clients spread keys: 32-bit MurmurHash 2 (public domain, A. Appleby) of Kafka's seed."""
    words = len(data) // 4
    mixed = _SEED ^ len(data)
    for word in unpack_from(f"<{words}I", data):
        scattered = word * _MIX & _WORD
        mixed = (mixed * _MIX ^ (scattered ^ scattered >> 24) * _MIX) & _WORD
    if rest := data[4 * words :]:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * _MIX & _WORD
    mixed = (mixed ^ mixed >> 13) * _MIX & _WORD
    return mixed ^ mixed >> 15


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
    return batch.append(timestamp=None, key=message.key, value=message.value, headers=_headers(message)) is not None


def _headers(message: Message) -> list[tuple[str, bytes]]:
    """Return the headers as FastStream sends them: the event's id is the correlation id, too."""
    known = [("content-type", b"")]
    if event_id := message.headers.get("event_id"):
        known.append(("correlation_id", event_id.encode()))
    return [*known, *((name, value.encode(errors="backslashreplace")) for name, value in message.headers.items())]


def _note(acknowledgement: Acknowledgement) -> None:
    """Take notice of an error that comes when nobody waits any more; whoever waited has been told of another or of the time."""
    if not acknowledgement.cancelled():
        acknowledgement.exception()


def _check_size(message: Message) -> None:
    headers = sum(len(name) + len(value) for name, value in message.headers.items())
    size = len(message.key or b"") + len(message.value or b"") + headers + _OVERHEAD_BYTES
    if size > MAX_MESSAGE_BYTES:
        raise MessageSizeTooLargeError(f"a message of {size} bytes for {message.topic}: {MAX_MESSAGE_BYTES} are taken at most")
