"""A broker of the test's own, with publisher, consumers and dead letters at hand."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from shared.domain.tenant import Mode
from shared.events.event import Event
from shared.events.recording import UploadClaimed
from shared.events.topics import DEAD_LETTER_TOPIC
from shared.messaging.broker import kafka_broker
from shared.messaging.consumer import consume
from shared.messaging.pipeline import RetryPolicy
from shared.messaging.policy import ConsumerPolicy
from shared.messaging.publisher import EventPublisher
from shared.settings import KafkaSettings

QUICK = RetryPolicy(first_delay_s=0.01, most_delay_s=0.05, transient_budget_s=0.3, unforeseen_attempts=3)
POLICY = ConsumerPolicy(retry=QUICK, rest_s=0.3, rejoin_s=0.1)
DEADLINE_S = 30.0
JOIN_DEADLINE_S = 40.0  # a broker that is just being started is waited for: Apache Kafka takes a while


def claimed(number: int, recording_id: str = "rec_1") -> UploadClaimed:
    """Return the `number`th event of a recording."""
    return UploadClaimed(
        event_id=f"evt_{recording_id}_{number}",
        project_id="proj_1",
        mode=Mode.LIVE,
        recording_id=recording_id,
        version=number,
        occurred_at=datetime.now(UTC),
    )


class Inbox:
    """A handler that keeps what it is given, so that a test can wait for it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._arrived = asyncio.Condition()

    async def __call__(self, event: Event) -> None:
        async with self._arrived:
            self.events.append(event)
            self._arrived.notify_all()

    @property
    def ids(self) -> list[str]:
        return [event.event_id for event in self.events]

    async def until(self, fact, within_s: float = DEADLINE_S) -> None:
        async with asyncio.timeout(within_s), self._arrived:
            await self._arrived.wait_for(fact)

    async def has(self, *event_ids: str, within_s: float = DEADLINE_S) -> None:
        await self.until(lambda: set(event_ids) <= set(self.ids), within_s)


class Kafka:
    """What a test does with its broker."""

    def __init__(self, servers: str) -> None:
        self.settings = KafkaSettings(
            kafka_servers=(servers,), kafka_partitions=2, kafka_session_timeout_ms=1_000, kafka_fetch_wait_ms=10
        )
        self.broker = kafka_broker(self.settings, "test")
        self.publisher = EventPublisher(self.broker)
        self._consumers = []

    async def consume(self, group, handlers, policy=POLICY, **changes):
        consumer = consume(self.broker, group, handlers, msgspec.structs.replace(policy, **changes))
        self._consumers.append(consumer)
        await consumer.start()
        async with asyncio.timeout(JOIN_DEADLINE_S):
            await consumer.joined()
        return consumer

    async def read(self, topic: str, count: int):
        """Return the first `count` records of a topic."""
        reader = AIOKafkaConsumer(
            topic, bootstrap_servers=self.settings.kafka_servers[0], auto_offset_reset="earliest", fetch_max_wait_ms=10
        )
        await reader.start()
        try:
            async with asyncio.timeout(DEADLINE_S):
                return [await reader.getone() for _ in range(count)]
        finally:
            await reader.stop()

    async def dead_letters(self, count: int):
        """Return the first `count` dead letters, each with its headers as text."""
        records = await self.read(DEAD_LETTER_TOPIC, count)
        return [(record, {name: value.decode() for name, value in record.headers}) for record in records]

    async def close(self) -> None:
        for consumer in self._consumers:
            await consumer.stop(grace_s=1)
        await self.broker.stop()


@pytest.fixture
async def kafka(fresh_broker):
    kafka = Kafka(fresh_broker)
    yield kafka
    await kafka.close()


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def event():
    return claimed
