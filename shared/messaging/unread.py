"""Messages that the client itself cannot read: a header's name is no text.

Kafka takes any bytes for a header's name. aiokafka breaks off at it, at each fetch anew; it neither says where, nor hands over
what stands before it, nor what it has just taken of other partitions, nor reads what was sent behind it in the same batch.
"""

import inspect
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Client = Any  # aiokafka's consumer, which has no type of its own
Partition = Any  # its TopicPartition, as above

_REFETCH_MS = 15_000  # what stands before is fetched anew; a broker may take kafka_fetch_wait_ms over it


class UnreadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Stands in the place of a message that nobody here can read: where it is, and what kept it from being read."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    error: UnicodeDecodeError
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


async def next_of_broken(client: Client, error: UnicodeDecodeError) -> Mapping[Partition, Sequence[Any]]:
    """Return the messages before the one at which the client just broke off with `error`; if there are none, its stand-in.

    With them come those of other partitions that the client holds for handed over. It goes on behind what is returned; where the
    broker does not answer that is nothing, and it breaks off there once more.
    """
    broken = _broken_off(client)
    if broken is None:
        raise error
    partition, offset = broken
    others = _taken_before(error)
    before = await _up_to(client, partition, offset)
    if before or await client.position(partition) < offset:
        return {**others, **({partition: before} if before else {})}
    client.seek(partition, offset + 1)
    timestamp = round(time.time() * 1000)
    unread = UnreadRecord(topic=partition.topic, partition=partition.partition, offset=offset, timestamp=timestamp, error=error)
    return {**others, partition: [unread]}


def _taken_before(error: UnicodeDecodeError) -> Mapping[Partition, Sequence[Any]]:
    """Return what the client took of other partitions in the call that ended by `error`: only that call's variables hold it."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "fetched_records":
            return dict(frame.f_locals["drained"])
    return {}


def _broken_off(client: Client) -> tuple[Partition, int] | None:
    """Return in which partition, and before which offset, a client's unpacking of messages ended by an error."""
    for partition, result in client._fetcher._records.items():  # noqa: SLF001  # aiokafka says so nowhere else
        fetched: Any = getattr(result, "_partition_records", None)
        unpacking = getattr(fetched, "_records_iterator", None)
        if unpacking is not None and inspect.getgeneratorstate(unpacking) == inspect.GEN_CLOSED:
            return partition, fetched.next_fetch_offset
    return None


async def _up_to(client: Client, partition: Partition, end: int) -> list[Any]:
    """Return the messages before `end`, one by one: the client reads none further ahead."""
    found: list[Any] = []
    while await client.position(partition) < end:
        one = await client.getmany(partition, timeout_ms=_REFETCH_MS, max_records=1)
        if not one:
            break
        found += one[partition]
    return found
