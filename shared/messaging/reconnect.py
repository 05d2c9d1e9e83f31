"""Topics first: what a client sends over a new connection, before anything else.

A new connection may lead to a broker that came back empty. aiokafka would go on with what it knew: send the messages that wait
to topics that are gone, and ask for those by name. Tansu, the in-memory broker, takes both for an answer: it acknowledges
messages of no topic and later hides them or what follows them, and it makes a topic it is asked for, with four partitions.
Kafka may make it too, with as many as its own settings say. So every new connection begins with making our topics; where they
exist this changes nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from aiokafka.client import ConnectionGroup  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.errors import KafkaConnectionError, KafkaError  # type: ignore[import-untyped]
from aiokafka.protocol.admin import CreateTopicsRequest  # type: ignore[import-untyped]
from faststream.kafka import KafkaBroker

from shared.events.topics import DEAD_LETTER_TOPIC, TOPICS
from shared.settings import KafkaSettings
from shared.telemetry.logs import get_logger

log = get_logger()

CREATE_TIMEOUT_MS = 5_000

Client = Any  # aiokafka's AIOKafkaClient, consumer and connection, which have no types of their own


def put_topics_first(broker: KafkaBroker, settings: KafkaSettings) -> None:
    """Have the producer of `broker`, just connected, and every consumer it builds from now on begin each connection so."""
    config = broker.config.broker_config
    _guard(config.producer._producer.producer.client, settings)  # type: ignore[attr-defined]  # noqa: SLF001  # no other way to it
    config.builder = partial(_build_guarded, config.builder, settings)


def _build_guarded(build: Callable[..., Client], settings: KafkaSettings, **options: Any) -> Client:  # noqa: ANN401
    consumer = build(**options)
    _guard(consumer._client, settings)  # noqa: SLF001  # aiokafka shows a producer's client, but not a consumer's
    return consumer


def _guard(client: Client, settings: KafkaSettings) -> None:
    """Wrap the one function through which an aiokafka client opens connections; it has no hook for this.

    Requests are answered in the order they were written, so whatever others send over the connection meanwhile comes after.
    """
    open_connection = client._get_conn  # noqa: SLF001

    async def open_with_topics(node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False) -> Client:  # noqa: ANN401
        known = client._conns.get((node_id, group))  # noqa: SLF001
        connection = await open_connection(node_id, group=group, no_hint=no_hint)
        if connection is None or connection is known:
            return connection
        _tell_of_loss(connection)
        try:
            await connection.send(_creation(settings))
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("kafka.connection_dropped", reason=repr(error)[:200])
            connection.close()
            return None
        return connection

    client._get_conn = open_with_topics  # noqa: SLF001


def _tell_of_loss(connection: Client) -> None:
    """Have a request over a lost connection raise what aiokafka expects of one.

    For a moment after a reset, before aiokafka hears of it, uvloop refuses a write with a `RuntimeError`. That would end, unseen,
    the task in which aiokafka's client renews what it knows of the brokers, and all that waits for that would do so for ever.
    """
    send = connection.send

    def send_or_tell(*request: Any, **options: Any) -> Client:  # noqa: ANN401 - as aiokafka has it
        try:
            return send(*request, **options)
        except RuntimeError as error:
            connection.close()
            raise KafkaConnectionError(f"the connection is lost: {error}") from error

    connection.send = send_or_tell


def _creation(settings: KafkaSettings) -> CreateTopicsRequest:
    topics: list[tuple[str, int, int, list[Any], list[Any]]] = [
        (name, settings.kafka_partitions, settings.kafka_replication, [], []) for name in sorted((*TOPICS, DEAD_LETTER_TOPIC))
    ]
    return CreateTopicsRequest(create_topic_requests=topics, timeout=CREATE_TIMEOUT_MS, validate_only=False)
