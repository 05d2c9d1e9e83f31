"""The webhook service, joined from its parts."""

import asyncio
import os
import socket
from datetime import timedelta

from services.webhooks.attempt import AttemptDelivery, AttemptRules
from services.webhooks.consumer import GROUP, handlers
from services.webhooks.dispatch import Dispatcher, DueQueue, Worker
from services.webhooks.fan_out import FanOut
from services.webhooks.http_sender import HttpSender, SenderSettings
from services.webhooks.marks import FannedOutMarks
from services.webhooks.reconcile import Reconciler
from services.webhooks.schedule import Schedule
from services.webhooks.settings import Settings, WebhookSettings
from services.webhooks.slots import Slots
from services.webhooks.targets import Targets
from shared.background import Background
from shared.domain.ids import new_id
from shared.messaging.broker import check_broker, kafka_broker, reopen
from shared.messaging.consumer import consume
from shared.storage.events import Events
from shared.storage.mongo import Mongo
from shared.storage.transcripts import Transcripts
from shared.storage.webhook_deliveries import WebhookDeliveries
from shared.storage.webhook_endpoints import WebhookEndpoints
from shared.telemetry.health import operations_app
from shared.telemetry.metrics import register_queue

CONSUMER_SHARE = 0.3  # of the grace time goes to events being fanned out …
ATTEMPTS_SHARE = 0.5  # … and then to attempts that run


class WebhookService:
    """Consumes events, fans them out, attempts deliveries, and answers for its health."""

    name = "webhooks"

    def __init__(self, settings: Settings) -> None:
        options = settings.webhooks
        self._grace_s = settings.runtime.shutdown_grace_s
        self._options = options
        self._mongo = Mongo(settings.mongo)
        self._broker = kafka_broker(settings.kafka, self.name)
        self._events = Events(self._mongo)
        self._endpoints = WebhookEndpoints(self._mongo)
        self._deliveries = WebhookDeliveries(self._mongo, timedelta(days=options.webhooks_keep_days))
        self._sender = HttpSender(
            SenderSettings(timeout_s=options.webhooks_timeout_s, ca_file=options.webhooks_ca_file),
            Targets(allow_private=options.webhooks_allow_private),
        )
        self._join(options)
        self._background = Background()
        self.app = operations_app({"mongo": self._mongo.check, "kafka": lambda: check_broker(self._broker)})

    def _join(self, options: WebhookSettings) -> None:
        rules = AttemptRules(
            schedule=Schedule(options.webhooks_schedule_s),
            header_prefix=options.webhooks_header_prefix,
            disable_after_s=options.webhooks_disable_after_s,
        )
        slots = Slots(options.webhooks_slots, options.webhooks_slots_per_endpoint)
        worker = Worker(f"{socket.gethostname()}-{os.getpid()}-{new_id('w')}", options.lease_s)
        attempt = AttemptDelivery(self._endpoints, self._deliveries, self._sender, rules)
        self._dispatcher = Dispatcher(attempt, self._deliveries, slots, worker)
        self._due = DueQueue(self._deliveries, self._endpoints, self._dispatcher, slots, worker)
        self._marks = FannedOutMarks(self._events)
        fan_out = FanOut(self._endpoints, self._deliveries, Transcripts(self._mongo), self._dispatcher, self._marks)
        self._reconciler = Reconciler(self._events, fan_out, self._marks)
        self._consumer = consume(self._broker, GROUP, handlers(fan_out))

    @property
    def failed(self) -> "asyncio.Future[None]":
        """Done when the consumer has stopped for good."""
        return self._consumer.failed

    async def start(self) -> None:
        """Make indexes, open the pool, begin to consume and to look for what is due."""
        for collection in (self._endpoints, self._deliveries, self._events):
            await collection.ensure_indexes()
        await self._sender.start()
        register_queue("webhook_deliveries", self._deliveries.queue_state)
        self._background.start("marks", self._marks.run)
        self._background.start("due", lambda: self._due.run(self._options.webhooks_poll_s))
        self._background.start("reconcile", lambda: self._reconciler.run(self._options.webhooks_reconcile_s))
        await self._consumer.start()

    async def stop(self) -> None:
        """Take no more events and claims; let attempts end or hand them back; close."""
        try:
            await self._consumer.stop(self._grace_s * CONSUMER_SHARE)
            await self._background.stop()
            await self._dispatcher.drain(self._grace_s * ATTEMPTS_SHARE)
            await self._marks.flush()
        finally:
            await self._sender.close()
            await reopen(self._broker)
            self._mongo.close()


def build(settings: Settings) -> WebhookService:
    """Return the service, not started."""
    return WebhookService(settings)
