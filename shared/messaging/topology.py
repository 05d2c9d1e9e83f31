"""The topics, as the table in `shared/events/topics.py` has them: made at start, and again when a broker came back empty."""

import asyncio

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # aiokafka ships no types
from faststream.kafka import KafkaBroker
from faststream.kafka.schemas import Topic

from shared.events.topics import DEAD_LETTER_TOPIC, TOPICS
from shared.messaging.broker import BrokerUnavailable, connect, settings_of
from shared.telemetry.logs import get_logger

log = get_logger()

TOPOLOGY_TIMEOUT_S = 5.0


async def ensure_topics(broker: KafkaBroker) -> None:
    """Create whatever topic is missing; those that exist stay as they are. May be called at any time, by everybody.

    Raise `BrokerUnavailable` when Kafka is away or refuses a topic.
    """
    await connect(broker)
    try:
        async with asyncio.timeout(TOPOLOGY_TIMEOUT_S):
            await _create(broker, await missing_topics(broker))
    except (KafkaError, OSError, TimeoutError, AttributeError) as error:  # AttributeError: aiokafka has no controller yet
        raise BrokerUnavailable(f"topics could not be made: {error!r}") from error


async def missing_topics(broker: KafkaBroker) -> set[str]:
    """Return which of our topics the broker does not have."""
    existing: list[str] = await broker.config.broker_config.admin_client.list_topics()
    return {*TOPICS, DEAD_LETTER_TOPIC} - set(existing)


async def _create(broker: KafkaBroker, names: set[str]) -> None:
    if not names:
        return
    settings = settings_of(broker)
    topics = [
        Topic(name, num_partitions=settings.kafka_partitions, replication_factor=settings.kafka_replication)
        for name in sorted(names)
    ]
    for result in await broker.config.broker_config.admin.create_topics(topics):
        if result.error is not None:
            raise BrokerUnavailable(f"topic {result.topic} could not be made: {result.error!r}") from result.error
    log.info("topology.created", topics=sorted(names))
