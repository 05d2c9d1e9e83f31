"""Deliveries that stand in the store but may be undone by a crash of it, until many are stored for good in one write."""

import asyncio
from collections.abc import Iterable

from services.webhooks.marks import FannedOutMarks
from services.webhooks.ports import NewDeliveries
from shared.domain.delivery import Delivery
from shared.domain.errors import TransientFailure
from shared.events.event import Event
from shared.events.recording import RecordingDeleted

MOST_DELIVERIES = 1_000
MOST_BYTES = 8_000_000  # of bodies: a long transcript has a megabyte


class Drafts:
    """Keeps what was drafted until it is there for good; only then its events are marked as fanned out."""

    def __init__(self, deliveries: NewDeliveries, marks: FannedOutMarks) -> None:
        self._store, self._marks = deliveries, marks
        self._deliveries: dict[str, Delivery] = {}
        self._events: dict[str, Event] = {}
        self._one_at_a_time = asyncio.Lock()

    def add(self, events: Iterable[Event], deliveries: Iterable[Delivery]) -> None:
        """Keep the deliveries of these events; of one that was drafted twice the first, which is what stands there."""
        self._deliveries = {delivery.id: delivery for delivery in deliveries} | self._deliveries
        self._events |= {event.event_id: event for event in events}

    @property
    def full(self) -> bool:
        """Whether so much waits that it must be confirmed before more is drafted."""
        waiting = self._deliveries.values()
        return len(waiting) >= MOST_DELIVERIES or sum(len(delivery.body) for delivery in waiting) >= MOST_BYTES

    async def confirm(self) -> None:
        """Return once all that was added is stored for good, and the text of recordings deleted by it erased.

        What fails stays for the next time, and only that; what is there already is not stored twice. Whatever it was that
        failed, a `TransientFailure` is raised: it says nothing of the event that is at hand.
        """
        async with self._one_at_a_time:
            deliveries, events = self._deliveries, self._events
            self._deliveries, self._events = {}, {}
            try:
                if events:
                    await self._store.add_new(list(deliveries.values()))
                deliveries = {}
                for event in sorted(events.values(), key=_erases):  # an erasure that fails keeps back none but those after it
                    if _erases(event):
                        await self._store.erase_texts(event.tenant, event.recording_id)
                    self._marks.add([events.pop(event.event_id).event_id])
            except TransientFailure:
                raise
            except Exception as error:
                raise TransientFailure(f"deliveries could not be confirmed: {error!r}") from error
            finally:
                self._deliveries, self._events = self._deliveries | deliveries, events | self._events


def _erases(event: Event) -> bool:
    return isinstance(event, RecordingDeleted)
