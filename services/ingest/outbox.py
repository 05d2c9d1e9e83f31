"""Saving with events: what is stored is published soon after, and a conflict is decided anew."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from services.ingest.ports import AggregateStore, EventRelay
from shared.domain.errors import TransientFailure
from shared.domain.transition import VersionConflict
from shared.events.event import Event

A = TypeVar("A", bound=Any)
T = TypeVar("T")
_TRIES = 100  # who asks for all files of a recording at once; each try that fails is one that another has won


class Outbox:
    """Stores aggregates with their events in one write each, then hands the events to the relay."""

    def __init__(self, relay: EventRelay) -> None:
        self._relay = relay

    async def add(self, store: AggregateStore[A], aggregate: A, *events: Event) -> A:
        """Store a new aggregate; raises `AlreadyExists` when a unique key is taken."""
        stored = await store.add(aggregate, *events)
        self._relay.nudge(store.name, aggregate.id, events)
        return stored

    async def save(self, store: AggregateStore[A], before: A, after: A, *events: Event, **unseen: Any) -> A:  # noqa: ANN401 - see there
        """Replace `before` by `after`; raises `VersionConflict` when `before` is not what is stored."""
        stored = await store.save(before, after, *events, **unseen)
        self._relay.nudge(store.name, after.id, events)
        return stored


async def decided_anew(attempt: Callable[[], Awaitable[T]]) -> T:
    """Run `attempt`, which reads, decides and saves, until its decision was not overtaken."""
    for _ in range(_TRIES):
        try:
            return await attempt()
        except VersionConflict as conflict:
            last = conflict
    raise TransientFailure(f"{last} changes too often")
