"""Finds the events of which the broker never told, and fans them out: losing the broker loses nothing."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

from services.webhooks.fan_out import FanOut
from services.webhooks.marks import FannedOutMarks
from services.webhooks.ports import EventLog
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.events.event import Event
from shared.telemetry.logs import get_logger

log = get_logger()

BATCH = 100
OVERDUE_AFTER = timedelta(seconds=5)


class Reconciler:
    """Looks for events that have waited too long."""

    def __init__(self, events: EventLog, fan_out: FanOut, marks: FannedOutMarks) -> None:
        self._events, self._fan_out, self._marks = events, fan_out, marks

    async def run(self, pause_s: float) -> None:
        """Look every `pause_s` seconds, and on while there is more; until cancelled."""
        while True:
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
            try:
                while await self.sweep() == BATCH:
                    pass
            except TransientFailure as failure:
                log.warning("webhook.reconcile_deferred", error=type(failure).__name__, reason=str(failure)[:200])

    async def sweep(self) -> int:
        """Fan out what is overdue; return how many events that were."""
        await self._fan_out.confirm()
        await self._marks.flush()
        overdue = await self._events.not_fanned_out(now() - OVERDUE_AFTER, BATCH)
        if overdue:
            await self._each_if_not_all(overdue)
            await self._marks.flush()
            log.info("webhook.reconciled", events=len(overdue))
        return len(overdue)

    async def _each_if_not_all(self, events: Sequence[Event]) -> None:
        """One event that cannot be fanned out must not keep the others back; it is marked, for trying again changes nothing."""
        try:
            await self._fan_out.many(events)
        except TransientFailure:
            raise
        except Exception:  # noqa: BLE001 - found one by one below
            for event in events:
                try:
                    await self._fan_out(event)
                except TransientFailure:
                    raise
                except Exception:
                    log.exception("webhook.not_fanned_out", event_id=event.event_id)
                    self._marks.add([event.event_id])
