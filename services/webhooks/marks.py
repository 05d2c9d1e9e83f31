"""Remembers, in batches and behind the scenes, which events are fanned out; a mark lost in a crash costs a look, nothing else."""

import asyncio
from collections.abc import Iterable, Sequence

from services.webhooks.ports import EventLog
from shared.domain.errors import TransientFailure
from shared.telemetry.logs import get_logger

log = get_logger()

PAUSE_S = 1.0


class FannedOutMarks:
    """Collects the ids of events whose deliveries are made, and stores them together."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._waiting: list[str] = []
        self._added = asyncio.Event()

    def add(self, event_ids: Iterable[str]) -> None:
        """Have these events marked soon."""
        self._waiting += event_ids
        self._added.set()

    async def among(self, event_ids: Sequence[str]) -> frozenset[str]:
        """Return those of these events that are marked for good; none that is not kept any more."""
        return await self._events.fanned_out_among(event_ids)

    async def run(self) -> None:
        """Store what was added, once a second; until cancelled."""
        while True:
            await self._added.wait()
            await asyncio.sleep(PAUSE_S)
            await self.store_last()

    async def store_last(self) -> None:
        """Store what was added so far if that can be done now."""
        try:
            await self.flush()
        except TransientFailure as failure:
            log.warning("webhook.marks_deferred", error=type(failure).__name__, reason=str(failure)[:200])

    async def flush(self) -> None:
        """Store what was added so far; when that fails it stays for the next time."""
        batch, self._waiting = self._waiting, []
        self._added.clear()
        if not batch:
            return
        try:
            await self._events.fanned_out(batch)
        except BaseException:
            self.add(batch)
            raise
