"""Joins the webhook service's parts: the only place that builds its clients."""

import asyncio
import os
import socket
from datetime import timedelta

from services.webhooks.attempt import AttemptDelivery, AttemptRules
from services.webhooks.consumer import GROUP, handlers
from services.webhooks.dispatch import Dispatcher, DueQueue, QueueOfTests, Worker
from services.webhooks.fan_out import FanOut
from services.webhooks.http_sender import HttpSender, SenderSettings
from services.webhooks.marks import FannedOutMarks
from services.webhooks.reconcile import Reconciler
from services.webhooks.schedule import Schedule
from services.webhooks.settings import Settings, WebhookSettings
from services.webhooks.slots import Slots
from services.webhooks.targets import Targets
from shared.background import Background
from shared.domain.delivery import DeliveryStatus
from shared.domain.ids import new_id
from shared.messaging.consumer import consume
from shared.platform import Platform
from shared.sealing import Sealing
from shared.storage.transcripts import Transcripts
from shared.storage.webhook_deliveries import WebhookDeliveries
from shared.storage.webhook_endpoints import WebhookEndpoints
from shared.telemetry.health import operations_app
from shared.telemetry.metrics import register_queue

CONSUMER_SHARE = 0.2  # of the grace time goes to events being fanned out …
ATTEMPTS_SHARE = 0.5  # … and then to attempts that run
TEST_POLL_S = 0.25
TEST_SLOTS = 32  # tests have slots of their own: they wait for nobody, and nobody for them
TEST_SLOTS_PER_ENDPOINT = 4


class WebhookService:
    """Consumes events, fans them out, attempts deliveries, and answers for its health."""

    name = "webhooks"

    def __init__(self, settings: Settings) -> None:
        self._options = settings.webhooks
        self._grace_s = settings.runtime.shutdown_grace_s
        self._platform = Platform(self.name, settings.mongo, settings.kafka)
        self._endpoints = WebhookEndpoints(self._platform.mongo, Sealing(settings.sealing.sealing_keys))
        keep = timedelta(days=self._options.webhooks_keep_days)
        self._deliveries = WebhookDeliveries(self._platform.mongo, keep)
        self._tests = WebhookDeliveries(self._platform.mongo, keep, DeliveryStatus.TESTING)
        self._sender = HttpSender(
            SenderSettings(timeout_s=self._options.webhooks_timeout_s, ca_file=self._options.webhooks_ca_file),
            Targets(allow_private=self._options.webhooks_allow_private),
        )
        self._work = Background()
        self._join(_rules(self._options))
        self.failed = self._consumer.failed
        self.app = operations_app(self._platform.checks)

    def _join(self, rules: AttemptRules) -> None:
        slots = Slots(self._options.webhooks_slots, self._options.webhooks_slots_per_endpoint)
        worker = Worker(f"{socket.gethostname()}-{os.getpid()}-{new_id('w')}", self._options.lease_s)
        attempt = AttemptDelivery(self._endpoints, self._deliveries, self._sender, rules)
        self._dispatcher = Dispatcher(attempt, self._deliveries, slots, worker)
        self._due = DueQueue(self._deliveries, self._endpoints, self._dispatcher, slots, worker)
        test_slots = Slots(TEST_SLOTS, TEST_SLOTS_PER_ENDPOINT)
        self._test_dispatcher = Dispatcher(attempt, self._tests, test_slots, worker)
        self._due_tests = QueueOfTests(self._tests, self._endpoints, self._test_dispatcher, test_slots, worker)
        self._marks = FannedOutMarks(self._platform.events)
        transcripts = Transcripts(self._platform.mongo)
        fan_out = FanOut(self._endpoints, self._deliveries, transcripts, self._dispatcher, self._marks)
        self._reconciler = Reconciler(self._platform.events, fan_out, self._marks)
        self._consumer = consume(self._platform.broker, GROUP, handlers(fan_out), confirm=fan_out.confirm)

    async def start(self) -> None:
        """Connect, begin to consume and to look for what is due."""
        await self._sender.start()
        await self._platform.start(self._endpoints.ensure_indexes, self._deliveries.ensure_indexes)
        register_queue("webhook_deliveries", self._deliveries.queue_state)
        self._work.start("marks", self._marks.run)
        self._work.start("due", lambda: self._due.run(self._options.webhooks_poll_s))
        self._work.start("due-tests", lambda: self._due_tests.run(min(TEST_POLL_S, self._options.webhooks_poll_s)))
        self._work.start("reconcile", lambda: self._reconciler.run(self._options.webhooks_reconcile_s))
        await self._consumer.start()

    async def stop(self) -> None:
        """Take no more events and claims; let attempts end or hand them back; close."""
        await self._consumer.stop(self._grace_s * CONSUMER_SHARE)
        await self._work.stop()
        running = (self._dispatcher, self._test_dispatcher)
        await asyncio.gather(*(dispatcher.drain(self._grace_s * ATTEMPTS_SHARE) for dispatcher in running))
        await self._marks.store_last()
        await self._sender.close()
        await self._platform.stop()


def build(settings: Settings) -> WebhookService:
    """Build the service."""
    return WebhookService(settings)


def _rules(options: WebhookSettings) -> AttemptRules:
    return AttemptRules(
        schedule=Schedule(options.webhooks_schedule_s),
        header_prefix=options.webhooks_header_prefix,
        test_timeout_s=options.webhooks_test_timeout_s,
        disable_after_s=options.webhooks_disable_after_s,
    )
