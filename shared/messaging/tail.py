"""Hearing every event as it is published, without a group: each process hears all, nothing is committed, nothing is replayed.

For waking those who wait. What was published while this did not listen is not heard: whoever is woken looks in MongoDB.
"""

import asyncio
import time
from typing import Any, Protocol

from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError  # type: ignore[import-untyped]  # ships no types
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.schemas import Topic

from shared.domain.errors import TransientFailure
from shared.events.topics import TOPICS
from shared.messaging.broker import BrokerUnavailable, settings_of
from shared.messaging.closing import leave
from shared.messaging.topology import ensure_topics
from shared.telemetry.logs import get_logger

log = get_logger()

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 3.0
CHECK_S = 1.0
CHECK_TIMEOUT_S = 3.0
POLL_MS = 500
REST_S = 0.5
MOST_RECORDS = 1_000

_UNREAD = UnicodeDecodeError  # a message that the client cannot read (`unread.py`); the next start is behind it
_LOST = (KafkaError, ConsumerStoppedError, IllegalStateError, OSError, TimeoutError, TransientFailure, _UNREAD)


class Listener(Protocol):
    """Who wants to hear."""

    @property
    def wanted(self) -> asyncio.Event:
        """Set while there is anybody to be woken."""

    def heard(self, key: str) -> None:
        """Take note of an event of the recording `key`."""

    def hearing(self, *, well: bool) -> None:
        """Take note of whether events are heard from now on; some may have been missed."""


class Tail:
    """Listens to the ends of all topics while its listener wants it, and costs nothing while it does not."""

    def __init__(self, broker: KafkaBroker, listener: Listener) -> None:
        self._broker, self._listener = broker, listener
        self._subscriber = broker.subscriber(
            *(Topic(name, declare=False) for name in TOPICS),
            batch=True,
            group_id=None,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="latest",
            fetch_max_wait_ms=settings_of(broker).kafka_fetch_wait_ms,
        )

    async def run(self) -> None:
        """Listen whenever that is wanted, again and again while the broker is away; until cancelled."""
        while True:
            await self._listener.wanted.wait()
            try:
                await self._listen()
            except _LOST as error:
                log.warning("tail.lost", reason=repr(error)[:200])
            finally:
                self._listener.hearing(well=False)
                await self._stop()
            await asyncio.sleep(REST_S)

    async def _listen(self) -> None:
        client = await self._start()
        self._listener.hearing(well=True)
        checked_at = time.monotonic()
        while self._listener.wanted.is_set():
            records = await client.getmany(timeout_ms=POLL_MS, max_records=MOST_RECORDS)
            for key in {record.key for messages in records.values() for record in messages if record.key}:
                self._listener.heard(key.decode(errors="replace"))
            if time.monotonic() - checked_at >= CHECK_S:
                await self._check(client)
                checked_at = time.monotonic()

    async def _start(self) -> Any:  # noqa: ANN401  # aiokafka's consumer, which has no type of its own
        """Return a client that stands at the end of every partition."""
        await ensure_topics(self._broker)
        async with asyncio.timeout(START_TIMEOUT_S):
            await self._subscriber.start()
            client = self._subscriber.consumer
            if client is None:
                raise BrokerUnavailable("no client was made")
            while {partition.topic for partition in client.assignment()} != set(TOPICS):  # noqa: ASYNC110  # aiokafka tells nobody
                await asyncio.sleep(REST_S / 10)
            await client.seek_to_end()
            for partition in client.assignment():
                await client.position(partition)
        return client

    async def _check(self, client: Any) -> None:  # noqa: ANN401  # as above
        """Raise when the broker does not answer, or came back with less than was heard already."""
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            partitions = client.assignment()
            ends = await client.end_offsets(list(partitions))
            for partition in partitions:
                if await client.position(partition) > ends[partition]:
                    raise BrokerUnavailable(f"{partition.topic} ends before where it ended")

    async def _stop(self) -> None:
        """Close the client, within seconds."""
        client, self._subscriber.consumer = self._subscriber.consumer, None
        if client is not None:
            await leave(client, STOP_TIMEOUT_S)
        await self._subscriber.stop()
