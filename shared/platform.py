"""What every service stands on, built in one place: MongoDB, the outboxes, the broker, the relay, and how they start and stop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from faststream.kafka import KafkaBroker

from shared.background import Background
from shared.domain.errors import TransientFailure
from shared.messaging.broker import check_broker, kafka_broker
from shared.messaging.publisher import EventPublisher
from shared.messaging.relay import Relay
from shared.messaging.topology import ensure_topics
from shared.settings import KafkaSettings, MongoSettings
from shared.storage.events import Events
from shared.storage.mongo import Mongo
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.telemetry.health import Check
from shared.telemetry.logs import get_logger

log = get_logger()
_RETRY_S = 1.0
_DRAIN_S = 3.0


class Platform:
    """The clients and background tasks that all four services share; nothing connects before `start`.

    `hurried`: see `Relay`; a service whose work takes seconds is not.
    """

    def __init__(self, service: str, mongo: MongoSettings, kafka: KafkaSettings, *, hurried: bool = True) -> None:
        self.service = service
        self.mongo = Mongo(mongo)
        self.recordings = Recordings(self.mongo)
        self.transcriptions = Transcriptions(self.mongo)
        self.events = Events(self.mongo, timedelta(days=mongo.events_keep_days))
        self.broker: KafkaBroker = kafka_broker(kafka, service)
        self.publisher = EventPublisher(self.broker)
        self.relay = Relay((self.recordings, self.transcriptions), self.events, self.publisher, self.recordings, hurried=hurried)
        self.background = Background()

    @property
    def checks(self) -> Mapping[str, Check]:
        """What readiness asks: the store of truth and the broker."""
        return {"mongodb": self.mongo.check, "kafka": self._check_broker}

    async def start(self, *indexed: Callable[[], Awaitable[None]]) -> None:
        """Make the indexes of the shared collections and of `indexed`, waiting for MongoDB if need be; begin to relay.

        The broker is not waited for: MongoDB is the truth, and the relay catches up when Kafka is there.
        """
        collections = (self.recordings, self.transcriptions, self.events)
        for ensure in (*(collection.ensure_indexes for collection in collections), *indexed):
            await _until_available(ensure)
        self.background.start("topology", self._make_topics)
        self.background.start("relay", self.relay.run)

    async def stop(self) -> None:
        """Publish what is waiting, then close; what cannot leave in time stays in its outbox for the next sweep."""
        await self.relay.drain(_DRAIN_S)
        await self.background.stop()
        await self.broker.stop()
        self.mongo.close()

    async def _make_topics(self) -> None:
        await _until_available(lambda: ensure_topics(self.broker))

    async def _check_broker(self) -> None:
        await check_broker(self.broker)


async def _until_available(attempt: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await attempt()
        except TransientFailure as failure:
            log.warning("platform.waiting", error=type(failure).__name__, reason=str(failure)[:200])
            await asyncio.sleep(_RETRY_S)


async def every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    """Do `work` every so many seconds, for ever; what depends on an absent server is tried again at the next turn."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except TransientFailure as failure:
            log.warning("reconcile.deferred", error=type(failure).__name__, reason=str(failure)[:200])
