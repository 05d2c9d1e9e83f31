"""The outbox relay: every event that a document's outbox holds is shown, published, kept and then taken out of the outbox.

A service that has just saved events hands them over by `nudge`, so that they leave within milliseconds: the first at once, and
together what comes while the relay is at work or rests from it. Whatever a crash or an outage leaves behind is found by the
sweep, which runs in every service over every outbox. An event may thus be published more than once, always with the same id and
bytes.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.transition import TransitionRefused, VersionConflict
from shared.events.event import Event
from shared.events.transcription import TranscriptionEvent
from shared.messaging.clearing import ClearedOutbox, Clearing, Keeper, Placed
from shared.telemetry.logs import get_logger
from shared.telemetry.metrics import outbox_lag_seconds, outbox_published_total

log = get_logger()

_lag = outbox_lag_seconds.labels()

_BATCH = 500
_REST = 3.0  # times as long as a round took: relaying is a quarter of the work at most, however slow the stores are
_LEAST_REST_S, _MOST_REST_S = 0.01, 0.1
_REST_PER_EVENT_S = 0.003  # in a hurry no longer than this for each event of the round: one hardly waits (`bench.finalize`)
_CLEARING = 0.1  # of the time between two sweeps: they must find nothing that is only not cleared yet
_FEW = 8  # events that in a hurry do not wait for the journal; for more, one durable write is cheaper than two


class UnpublishedEvents(Protocol):
    """The events one document's outbox still holds."""

    @property
    def aggregate_id(self) -> str:
        """The document's id."""

    @property
    def events(self) -> tuple[Event, ...]:
        """Oldest first."""


class Outbox(ClearedOutbox, Protocol):
    """The outboxes of one collection."""

    @property
    def name(self) -> str:
        """The collection's name."""

    async def unpublished(self, older_than: datetime, limit: int) -> Sequence[UnpublishedEvents]:
        """Return outboxes whose oldest event was made before `older_than`."""


class EventKeeper(Keeper, Protocol):
    """Where events are kept before they are published."""

    async def show(self, events: Sequence[Event]) -> None:
        """Make events readable; until they are kept as well, a crash of the store may take them away again."""


class Publisher(Protocol):
    """Where events are published."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish all, in order per recording; return once every one is acknowledged."""


class Reflector(Protocol):
    """What shows a transcription's progress on its recording."""

    async def reflect_all(self, events: Sequence[TranscriptionEvent]) -> Mapping[str, TransitionRefused]:
        """Bring the recordings in line with the facts; a replay changes nothing. Returns what was refused, by event id."""


class Relay:
    """Publishes events out of outboxes, in batches; `run` until cancelled, `drain` before the end.

    `hurried`, it lets few events wait neither for the journal nor for each other; else it does with fewer writes.
    """

    def __init__(  # noqa: PLR0913 - what it stands between, and how it goes about it
        self,
        outboxes: Sequence[Outbox],
        keeper: EventKeeper,
        publisher: Publisher,
        reflector: Reflector,
        *,
        hurried: bool = True,
        sweep_s: float = 2.0,
    ) -> None:
        self._outboxes = {outbox.name: outbox for outbox in outboxes}
        self._keeper, self._publisher, self._reflector = keeper, publisher, reflector
        self._hurried, self._sweep_s = hurried, sweep_s
        self._clearing = Clearing(self._outboxes, keeper, sweep_s * _CLEARING)
        self._waiting: list[Placed] = []
        self._nudged = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def nudge(self, outbox: str, aggregate_id: str, events: Sequence[Event]) -> None:
        """Publish `events`, which stand in the outbox of `aggregate_id`, as soon as can be; returns at once, never fails."""
        self._waiting += [Placed(outbox, aggregate_id, event) for event in events]
        self._nudged.set()
        self._idle.clear()

    async def run(self) -> None:
        """Publish what is nudged and, every couple of seconds, what was left behind; until cancelled."""
        async with asyncio.TaskGroup() as beside:
            beside.create_task(self._sweep_forever())
            beside.create_task(self._clearing.run())
            while True:
                await self._nudged.wait()
                began = time.monotonic()
                events = await self._publish_waiting()
                rest_s = min(max(_LEAST_REST_S, _REST * (time.monotonic() - began)), _MOST_REST_S)
                await asyncio.sleep(min(rest_s, events * _REST_PER_EVENT_S) if self._hurried else rest_s)

    async def drain(self, within_s: float) -> None:
        """Publish what waits and clear what left, each within `within_s` seconds; a sweep of any service finds the rest."""
        for part in (self._idle.wait, self._clearing.flush):  # what did leave is cleared, whatever still waits
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(part(), within_s)

    async def _publish_waiting(self) -> int:
        """Publish what waits now, and return how much that was; what comes meanwhile waits for the next round."""
        self._nudged.clear()
        everything, self._waiting = self._waiting, []
        for start in range(0, len(everything), _BATCH):
            batch = everything[start : start + _BATCH]
            try:
                await self._publish_what_can_be(batch)
            except TransientFailure as failure:
                log.warning("relay.deferred", error=type(failure).__name__, reason=str(failure)[:200], events=len(batch))
        if not self._waiting:
            self._idle.set()
        return len(everything)

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
            try:
                await self.sweep(older_than=now() - timedelta(seconds=2 * self._sweep_s))
            except TransientFailure as failure:
                log.warning("relay.sweep_deferred", error=type(failure).__name__, reason=str(failure)[:200])

    async def sweep(self, older_than: datetime) -> int:
        """Publish what outboxes have held since `older_than`; return how many events that were.

        What cannot be published now does not keep it from the outboxes of other collections: what they hold is kept before.
        """
        published, failures = 0, list[TransientFailure]()
        for outbox in self._outboxes.values():
            found = await outbox.unpublished(older_than, _BATCH)
            left_behind = [Placed(outbox.name, item.aggregate_id, event) for item in found for event in item.events]
            try:
                for start in range(0, len(left_behind), _BATCH):
                    await self._publish_what_can_be(left_behind[start : start + _BATCH])
                published += len(left_behind)
            except TransientFailure as failure:
                failures.append(failure)
        if published:
            log.info("relay.swept", events=published)
        if failures:
            raise failures[0]
        return published

    async def _publish_what_can_be(self, batch: Sequence[Placed]) -> None:
        """Publish the batch; an event that cannot be, for a reason nobody foresaw, keeps back only those of its document."""
        try:
            await self._publish(batch)
        except TransientFailure:
            raise
        except Exception:
            of_each = defaultdict[str, list[Placed]](list)
            for placed in batch:
                of_each[placed.aggregate_id].append(placed)
            if len(of_each) == 1:
                log.exception("relay.not_published", aggregate_id=batch[0].aggregate_id, events=len(batch))
                return
            for of_one in of_each.values():
                await self._publish_what_can_be(of_one)

    async def _publish(self, batch: Sequence[Placed]) -> None:
        events = [waiting.event for waiting in batch]
        await self._reflect(events)
        kept = not self._hurried or len(events) > _FEW
        await (self._keeper.keep(events) if kept else self._keeper.show(events))  # whoever is told looks there
        await self._publisher.publish(events)
        _count(events)
        await self._clearing.add(batch, kept=kept)

    async def _reflect(self, events: Sequence[Event]) -> None:
        facts = [event for event in events if isinstance(event, TranscriptionEvent)]
        if not facts:
            return
        try:
            refused = await self._reflector.reflect_all(facts)
        except VersionConflict as conflict:
            raise TransientFailure(f"{conflict} changes too often") from conflict
        for event_id, refusal in refused.items():
            log.warning("relay.not_reflected", recording_id=refusal.aggregate_id, event_id=event_id, reason=str(refusal))


def _count(published: Sequence[Event]) -> None:
    moment = now()
    for kind, count in Counter(event.type for event in published).items():
        outbox_published_total.labels(kind).inc(count)
    for event in published:
        _lag.observe(max(0.0, (moment - event.occurred_at).total_seconds()))
