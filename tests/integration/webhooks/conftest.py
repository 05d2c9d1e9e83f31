"""The webhook stage over a real MongoDB and real receivers; only the broker is left out."""

import asyncio

import pytest

from services.webhooks.attempt import AttemptDelivery, AttemptRules
from services.webhooks.dispatch import Dispatcher, DueQueue, Worker
from services.webhooks.fan_out import FanOut
from services.webhooks.http_sender import HttpSender, SenderSettings
from services.webhooks.marks import FannedOutMarks
from services.webhooks.reconcile import Reconciler
from services.webhooks.schedule import Schedule
from services.webhooks.slots import Slots
from services.webhooks.targets import Targets
from shared.storage.events import Events
from shared.storage.transcripts import Transcripts
from shared.storage.webhook_deliveries import WebhookDeliveries
from shared.storage.webhook_endpoints import WebhookEndpoints
from tests.fakes.sealing import a_sealing
from tests.fakes.webhook_facts import TENANT, an_endpoint
from tests.fakes.webhook_receiver import Receiver


class Stage:
    """One replica of the webhook stage, its loops off until `run`."""

    def __init__(self, mongo, **options):
        self.schedule = options.get("schedule", (0, 0.05, 0.05, 0.05))
        self.endpoints, self.deliveries = WebhookEndpoints(mongo, a_sealing()), WebhookDeliveries(mongo)
        self.events, self.transcripts = Events(mongo), Transcripts(mongo)
        timeout_s = options.get("timeout_s", 4.0)  # no receiver is so slow, unless it means to be
        self.sender = HttpSender(SenderSettings(timeout_s=timeout_s), Targets(allow_private=True))
        self.slots = Slots(options.get("slots", 128), options.get("per_endpoint", 8))
        self.worker = Worker(options.get("worker", "one"), options.get("lease_s", 5.0))
        rules = AttemptRules(schedule=Schedule(self.schedule), disable_after_s=options.get("disable_after_s", 432_000))
        attempt = AttemptDelivery(self.endpoints, self.deliveries, self.sender, rules)
        self.dispatcher = Dispatcher(attempt, self.deliveries, self.slots, self.worker)
        self.due = DueQueue(self.deliveries, self.endpoints, self.dispatcher, self.slots, self.worker)
        self.marks = FannedOutMarks(self.events)
        self.fan_out = FanOut(self.endpoints, self.deliveries, self.transcripts, self.dispatcher, self.marks)
        self.reconciler = Reconciler(self.events, self.fan_out, self.marks)
        self._loops = []

    async def start(self):
        for collection in (self.endpoints, self.deliveries, self.events):
            await collection.ensure_indexes()
        await self.sender.start()
        return self

    def run(self, poll_s=0.05):
        """Turn the queue on."""
        self._loops.append(asyncio.create_task(self.due.run(poll_s)))

    async def stop(self, grace_s=2.0):
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.dispatcher.drain(grace_s)
        await self.sender.close()

    async def endpoint(self, url, events=("*",), **fields):
        endpoint = an_endpoint(url, events, **fields)
        await self.endpoints.add(endpoint)
        return endpoint

    async def present(self, endpoint):
        return await self.endpoints.get(TENANT, endpoint.id)

    async def rows(self, endpoint):
        lines = await self.deliveries.page(TENANT, {"endpoint_id": endpoint.id}, 1000)
        return [await self.deliveries.get(TENANT, line.id) for line in lines]

    async def only(self, endpoint):
        (row,) = await self.rows(endpoint)
        return row


@pytest.fixture
async def make_stage(mongo):
    stages = []

    async def make(on=mongo, **options):
        stage = await Stage(on, **options).start()
        stages.append(stage)
        return stage

    yield make
    for stage in stages:
        await stage.stop(0.1)


@pytest.fixture
async def stage(make_stage):
    return await make_stage()


@pytest.fixture
async def make_receiver():
    receivers = []

    async def make(*script, default=200, **options):
        receiver = await Receiver(*script, default=default).start(**options)
        receivers.append(receiver)
        return receiver

    yield make
    for receiver in receivers:
        await receiver.stop()


@pytest.fixture
async def receiver(make_receiver):
    return await make_receiver()
