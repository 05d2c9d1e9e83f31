"""The connection to Kafka: one FastStream broker a process, made here and nowhere else, and how it is opened again."""

import asyncio
import logging
from types import TracebackType
from typing import Any

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # aiokafka ships no types
from faststream.kafka import KafkaBroker
from faststream.kafka.publisher.producer import AioKafkaFastProducerImpl

from shared.domain.errors import TransientFailure
from shared.messaging.client_logs import damp_client_logs
from shared.messaging.closing import close_producer
from shared.messaging.reconnect import put_topics_first
from shared.settings import KafkaSettings

REQUEST_TIMEOUT_MS = 15_000  # longer than a group takes to form, which is one request
RETRY_BACKOFF_MS = 100
METADATA_MAX_AGE_MS = 1_000
MAX_BATCH_BYTES = 256 * 1024
CONNECT_TIMEOUT_S = 5.0
FLUSH_TIMEOUT_S = 2.0
CLOSE_TIMEOUT_S = 4.0

_SETTINGS = "kafka_settings"
_OPENING = "kafka_opening"


class BrokerUnavailable(TransientFailure):
    """Kafka did not answer in time, or not as it should; what was asked may succeed later."""


class _PromptBroker(KafkaBroker):
    """A broker whose `stop` ends: aiokafka's waits for messages to be taken, and an idempotent producer waits for ever."""

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Close all connections; what Kafka has not taken soon is given up, as whoever published it has been told."""
        stopping = asyncio.create_task(super().stop(exc_type, exc_val, exc_tb))
        done, _ = await asyncio.wait({stopping}, timeout=CLOSE_TIMEOUT_S)
        if done:
            stopping.result()
        stopping.cancel()


class _TidyProducer(AioKafkaFastProducerImpl):
    """Closes a client that could not be started, or whose broker is away; FastStream's own forgets it open."""

    async def connect(self, producer: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401  # aiokafka's
        """Start `producer`, or close it and raise what kept it from starting."""
        try:
            await super().connect(producer, *args, **options)
        except BaseException:  # among them the end of the time that it had
            await producer.stop()
            raise

    async def disconnect(self) -> None:
        """Close the client within seconds; what Kafka has not taken by then is given up."""
        if self:
            await close_producer(self._producer.producer, FLUSH_TIMEOUT_S)
        await super().disconnect()


def kafka_broker(settings: KafkaSettings, client_id: str) -> KafkaBroker:
    """Return the broker, not connected: whoever needs it first calls `connect`.

    `acks=all` loses nothing that was acknowledged. Metadata is a second old at most, so that topics made anew are soon known.
    Idempotence is a setting, for Tansu, the in-memory broker, has none. Topics are made by `topology.py` and `reconnect.py`, with
    our partitions, not by FastStream or the broker.
    """
    damp_client_logs()
    broker = _PromptBroker(
        list(settings.kafka_servers),
        client_id=client_id,
        acks="all",
        enable_idempotence=settings.kafka_idempotent,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        max_batch_size=MAX_BATCH_BYTES,
        linger_ms=0,  # what waits while a request is under way is sent as one batch anyway
        apply_types=False,
        logger=logging.getLogger("earwitness.faststream"),  # its own would not come out as our JSON lines
    )
    broker.config.broker_config.producer = _TidyProducer(parser=None, decoder=None)
    broker.context.set_global(_SETTINGS, settings)
    broker.context.set_global(_OPENING, asyncio.Lock())
    return broker


def settings_of(broker: KafkaBroker) -> KafkaSettings:
    """Return the settings `broker` was made from."""
    settings: KafkaSettings = broker.context.get(_SETTINGS)
    return settings


async def connect(broker: KafkaBroker) -> None:
    """Connect producer and admin client unless they are; raise `BrokerUnavailable` when that takes too long or fails."""
    if _is_open(broker):
        return
    async with _opening(broker):
        if _is_open(broker):
            return
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await broker.connect()
            put_topics_first(broker, settings_of(broker))
        except (KafkaError, OSError, TimeoutError) as error:
            await _forget(broker)
            raise BrokerUnavailable(f"no connection to Kafka: {error!r}") from error
        except BaseException:  # cancelled, by whoever had less time: half an opening passes for a whole one
            await _forget(broker)
            raise


def producer_of(broker: KafkaBroker) -> Any:  # noqa: ANN401  # aiokafka's, which has no type of its own
    """Return the producer of a connected broker.

    FastStream's `publish` sends one message a call and makes a command of it, through middleware that we have none of: half of
    what an event cost on its way out.
    """
    return broker.config.broker_config.producer._producer.producer  # type: ignore[attr-defined]  # noqa: SLF001


async def reopen(broker: KafkaBroker) -> None:
    """Close a connection that cannot recover; the next `connect` opens a new one, and consumers notice and come back."""
    async with _opening(broker):
        await _forget(broker)


async def check_broker(broker: KafkaBroker) -> None:
    """Return when Kafka answers a metadata request; raise `BrokerUnavailable` when it does not (readiness)."""
    await connect(broker)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await broker.config.broker_config.admin_client.describe_cluster()
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"Kafka does not answer: {error!r}") from error


def _is_open(broker: KafkaBroker) -> bool:
    return broker._connection is not None  # noqa: SLF001  # FastStream says so nowhere else


def _opening(broker: KafkaBroker) -> asyncio.Lock:
    lock: asyncio.Lock = broker.context.get(_OPENING)
    return lock


async def _forget(broker: KafkaBroker) -> None:
    """Close what is open, however far the opening came."""
    parts: tuple[Any, ...] = (broker.config.broker_config.admin, broker.config.broker_config.producer)
    for part in parts:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await part.disconnect()
        except (KafkaError, OSError, TimeoutError):
            continue
    broker._connection = None  # noqa: SLF001  # `broker.stop` would stop every consumer and wait for what they are handling
