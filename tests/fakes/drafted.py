"""Deliveries as MongoDB keeps them when it may be killed, and a fan-out over them; what can be read is not yet there for good."""

import asyncio

from services.webhooks.dispatch import Dispatcher, Worker
from services.webhooks.fan_out import FanOut
from services.webhooks.marks import FannedOutMarks
from services.webhooks.slots import Slots
from shared.domain.errors import TransientFailure
from tests.fakes.webhook_facts import an_endpoint


class CrashingDeliveries:
    """Rows by id; a `crash` takes back what was only drafted. While it is `down` nothing is stored, `unsure` not for good."""

    def __init__(self):
        self.rows, self.for_good, self.erased = {}, {}, []
        self.drafts, self.lasting = [], []  # the ids of each write
        self.down = self.unsure = False
        self.let_go = asyncio.Event()
        self.let_go.set()

    def crash(self):
        self.rows = dict(self.for_good)

    async def draft_new(self, deliveries):
        self._check(down=self.down)
        self.drafts.append([delivery.id for delivery in deliveries])
        return self._add(deliveries)

    async def add_new(self, deliveries):
        await self.let_go.wait()
        self._check(down=self.down or self.unsure)
        self.lasting.append([delivery.id for delivery in deliveries])
        added = self._add(deliveries)
        self.for_good = dict(self.rows)
        return added

    async def erase_texts(self, tenant, recording_id):
        self._check(down=self.down)
        self.erased.append(recording_id)
        for delivery in list(self.rows.values()):
            if (delivery.tenant, delivery.recording_id) == (tenant, recording_id) and delivery.event_type != "recording.deleted":
                self.rows[delivery.id] = delivery.changed(body=b"")
        self.for_good = dict(self.rows)

    async def record(self, claimed, after):
        if self.rows.get(claimed.id) != claimed:
            return False
        self.rows[claimed.id] = after
        self.for_good = dict(self.rows)
        return True

    def _add(self, deliveries):
        added = [delivery for delivery in deliveries if delivery.id not in self.rows]
        self.rows |= {delivery.id: delivery for delivery in added}
        return added

    def _check(self, *, down):
        if down:
            raise TransientFailure("mongod is away")


class Endpoints:
    """All tenants' endpoints, and how often they were asked for."""

    def __init__(self, *rows):
        self.rows, self.asked = list(rows), []

    async def subscribed(self, tenant, *event_types):
        self.asked.append(tenant)
        return [row for row in self.rows if row.tenant == tenant and any(map(row.hears, event_types))]


class EventLog:
    """The events that are marked; none may be before its deliveries are there for good."""

    def __init__(self, deliveries):
        self._deliveries, self.marked = deliveries, set()

    async def not_fanned_out(self, _older_than, _limit):
        return []

    async def fanned_out(self, event_ids):
        assert set(event_ids) <= {delivery.event_id for delivery in self._deliveries.for_good.values()}
        self.marked |= set(event_ids)

    async def fanned_out_among(self, event_ids):
        return self.marked & set(event_ids)


class Drafting:
    """A fan-out over these; its attempts are only written down."""

    def __init__(self, *endpoints):
        self.endpoints = Endpoints(*(endpoints or [an_endpoint("https://one.example")]))
        self.deliveries, self.attempted, self.bad = CrashingDeliveries(), [], set()
        self.events = EventLog(self.deliveries)
        self.marks, self.slots = FannedOutMarks(self.events), Slots(1_000, 1_000)
        self.dispatcher = Dispatcher(self._attempt, self.deliveries, self.slots, Worker("one", 60.0))
        self.fan_out = FanOut(self.endpoints, self.deliveries, self, self.dispatcher, self.marks)

    async def get(self, _tenant, transcription_id):
        """Return no transcript; a bad one is a fault."""
        if transcription_id in self.bad:
            raise ValueError("a fault of ours")

    async def _attempt(self, claimed, _endpoint):
        self.attempted.append(claimed.event_id)
