"""Makes one delivery of an event for each endpoint that subscribed to it, and has it attempted at once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from services.webhooks.dispatch import Dispatcher
from services.webhooks.marks import FannedOutMarks
from services.webhooks.ports import Endpoints, NewDeliveries, TranscriptSource
from shared.domain.clock import now
from shared.domain.delivery import Delivery, delivery_id
from shared.domain.transcript import Transcript
from shared.domain.webhook import WebhookEndpoint
from shared.events.event import Event
from shared.events.payload import body_of
from shared.events.recording import RecordingDeleted
from shared.events.topics import TOPICS
from shared.events.transcription import TranscriptionCompleted
from shared.telemetry.metrics import stage_seconds

LOOK_BACK = timedelta(minutes=10)
"""An endpoint hears nothing that happened longer than this before it was made, though a consumer may begin at the first event."""


class FanOut:
    """Event in, deliveries out; a replayed event makes none.

    A first attempt does not wait until its delivery is stored for good, but the event is done with only then: what a crash of
    the store undid is made again with the event, and attempted again.
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
        self._dispatcher, self._marks = dispatcher, marks

    async def __call__(self, event: Event) -> None:
        """Store the deliveries of `event` and begin the first attempts; on replay nothing changes.

        When a recording was deleted, its text also goes from deliveries made before.
        """
        await self.many([event])

    async def many(self, events: Sequence[Event]) -> None:
        """Do the same for many events, in one write."""
        public = [event for event in events if TOPICS[event.type].public]
        with stage_seconds.labels("fan_out").time():
            await self._make_deliveries(public)
        self._marks.add(event.event_id for event in public)

    async def _make_deliveries(self, public: Sequence[Event]) -> None:
        made = await asyncio.gather(*(self._deliveries_of(event) for event in public))
        claimed = [
            (self._dispatcher.claimed(delivery, endpoint), endpoint) for deliveries in made for delivery, endpoint in deliveries
        ]
        added: set[str] = set()
        try:
            added = {delivery.id for delivery in await self._deliveries.draft_new([delivery for delivery, _ in claimed])}
        finally:  # claims that were not stored, or of which nobody knows: their slots are free again, their leases end
            for delivery, endpoint in claimed:
                if delivery.worker is not None and delivery.id in added:
                    self._dispatcher.begin(delivery, endpoint)
                elif delivery.worker is not None:
                    self._dispatcher.forget(delivery)
        await self._deliveries.add_new([delivery for delivery, _ in claimed])
        for event in public:
            if isinstance(event, RecordingDeleted):
                await self._deliveries.erase_texts(event.tenant, event.recording_id)

    async def _deliveries_of(self, event: Event) -> list[tuple[Delivery, WebhookEndpoint]]:
        subscribed = await self._endpoints.subscribed(event.tenant, event.type)
        hearing = [endpoint for endpoint in subscribed if endpoint.created_at - LOOK_BACK <= event.occurred_at]
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
