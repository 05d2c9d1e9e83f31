"""Makes one delivery of an event for each endpoint that subscribed to it, and has it attempted at once."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta

from services.webhooks.dispatch import Dispatcher
from services.webhooks.drafts import Drafts
from services.webhooks.marks import FannedOutMarks
from services.webhooks.ports import Endpoints, NewDeliveries, TranscriptSource
from shared.batches import Batches
from shared.domain.clock import now
from shared.domain.delivery import Delivery, delivery_id
from shared.domain.errors import TransientFailure
from shared.domain.tenant import Tenant
from shared.domain.transcript import Transcript
from shared.domain.webhook import WebhookEndpoint
from shared.events.event import Event
from shared.events.payload import body_of
from shared.events.topics import TOPICS
from shared.events.transcription import TranscriptionCompleted
from shared.telemetry.metrics import stage_seconds

LOOK_BACK = timedelta(minutes=10)
"""An endpoint hears nothing that happened longer than this before it was made, though a consumer may begin at the first event.
Nor is an event that is so old, and done with, told to anybody who would hear it by now."""

MOST_TOGETHER = 20  # events: each may have a hundred endpoints, and a body of a megabyte

Addressed = Sequence[tuple[Delivery, WebhookEndpoint]]


class FanOut:
    """Event in, deliveries out; a replayed event makes none.

    A first attempt does not wait until its delivery is stored for good, but the event is done with only then: what a crash of
    the store undid is made again, from the drafts or with the event, and attempted again.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        deliveries: NewDeliveries,
        transcripts: TranscriptSource,
        dispatcher: Dispatcher,
        marks: FannedOutMarks,
    ) -> None:
        self._endpoints, self._deliveries, self._transcripts = endpoints, deliveries, transcripts
        self._dispatcher, self._marks, self._drafts = dispatcher, marks, Drafts(deliveries, marks)
        self._together = Batches(self._draft_each, most_items=MOST_TOGETHER)

    async def __call__(self, event: Event) -> None:
        """Store the deliveries of `event` for good and begin the first attempts; on replay nothing changes.

        When a recording was deleted, its text also goes from deliveries made before.
        """
        await self.many([event])

    async def many(self, events: Sequence[Event]) -> None:
        """Do the same for many events, together."""
        with stage_seconds.labels("fan_out").time():
            for start in range(0, len(events), MOST_TOGETHER):
                await self._draft(events[start : start + MOST_TOGETHER])
            await self.confirm()

    async def draft(self, event: Event) -> None:
        """Begin the first attempts of `event`, with all events that come at this moment; to be followed by `confirm`.

        Whatever `confirm` has to say is left to it, unless too much waits for it already.
        """
        with stage_seconds.labels("fan_out").time():
            await self._together(event)

    async def confirm(self) -> None:
        """Return once all events drafted by now are done with: deliveries stored for good, texts of deleted ones erased.

        Only then they are marked as fanned out. When it fails all of it stays to be confirmed; nothing is done twice.
        """
        await self._drafts.confirm()

    async def _draft_each(self, events: Sequence[Event]) -> list[Exception | None]:
        """One event that cannot be fanned out must not fail those beside it."""
        try:
            await self._draft(events)
        except TransientFailure:
            raise
        except Exception as error:  # noqa: BLE001 - found one by one below
            return [error] if len(events) == 1 else [(await self._draft_each([event]))[0] for event in events]
        return [None] * len(events)

    async def _draft(self, events: Sequence[Event]) -> None:
        if self._drafts.full:
            await self._drafts.confirm()
        public = await self._news(events)
        addressed = await self._addressed(public)
        claimed = [(self._dispatcher.claimed(delivery, endpoint), endpoint) for delivery, endpoint in addressed]
        added: set[str] = set()
        try:
            added = {delivery.id for delivery in await self._deliveries.draft_new([delivery for delivery, _ in claimed])}
        finally:  # claims that were not stored, or of which nobody knows: their slots are free again, their leases end
            for delivery, endpoint in claimed:
                if delivery.worker is not None and delivery.id in added:
                    self._dispatcher.begin(delivery, endpoint)
                elif delivery.worker is not None:
                    self._dispatcher.forget(delivery)
        self._drafts.add(public, [delivery for delivery, _ in claimed])

    async def _news(self, events: Iterable[Event]) -> list[Event]:
        """Return the public events, each once, without old ones that are done with, as a consumer that begins anew reads them.

        Who hears of something now need not have heard of it then: to an endpoint that was disabled it would be news.
        """
        public = {event.event_id: event for event in events if TOPICS[event.type].public}
        old = [event.event_id for event in public.values() if event.occurred_at < now() - LOOK_BACK]
        done = await self._marks.among(old) if old else frozenset()
        return [event for event in public.values() if event.event_id not in done]

    async def _addressed(self, events: Iterable[Event]) -> Addressed:
        """Return the deliveries of these events, after one look at each tenant's endpoints."""
        of_tenants: defaultdict[Tenant, list[Event]] = defaultdict(list)
        for event in events:
            of_tenants[event.tenant].append(event)
        made = await asyncio.gather(*(self._addressed_of(tenant, own) for tenant, own in of_tenants.items()))
        return [one for own in made for one in own]

    async def _addressed_of(self, tenant: Tenant, events: Sequence[Event]) -> Addressed:
        subscribed = await self._endpoints.subscribed(tenant, *{event.type for event in events})
        made = await asyncio.gather(*(self._deliveries_of(event, subscribed) for event in events))
        return [one for own in made for one in own]

    async def _deliveries_of(self, event: Event, endpoints: Sequence[WebhookEndpoint]) -> Addressed:
        at = now()  # what is there was made before, though by a clock that was ahead and has been put right since
        hearing = [one for one in endpoints if one.hears(event.type) and min(one.created_at, at) - LOOK_BACK <= event.occurred_at]
        if not hearing:
            return []
        body = body_of(event, await self._transcript_of(event))
        return [(_delivery(event, endpoint, body), endpoint) for endpoint in hearing]

    async def _transcript_of(self, event: Event) -> Transcript | None:
        if not isinstance(event, TranscriptionCompleted):
            return None
        return await self._transcripts.get(event.tenant, event.transcription_id)


def _delivery(event: Event, endpoint: WebhookEndpoint, body: bytes) -> Delivery:
    moment = now()
    return Delivery(
        id=delivery_id(event.event_id, endpoint.id, event.occurred_at),
        event_id=event.event_id,
        event_type=event.type,
        endpoint_id=endpoint.id,
        project_id=event.project_id,
        mode=event.mode,
        recording_id=event.recording_id,
        occurred_at=event.occurred_at,
        body=body,
        next_attempt_at=moment,
        trace_id=event.trace_id,
        created_at=moment,
        updated_at=moment,
    )
