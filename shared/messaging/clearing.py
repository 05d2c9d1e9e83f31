"""Clearing outboxes: what was published is kept for good and then taken out, together with all else of the same moment.

Nobody waits for that, so it is done a few times a second and in few writes, however many documents the events stand in. What is
published and not yet cleared when a process dies is found by the sweep and published again, under the same ids.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from shared.domain.errors import TransientFailure
from shared.events.event import Event
from shared.telemetry.logs import get_logger

log = get_logger()

_MOST = 2_000  # waiting at a time: whoever publishes more waits


class ClearedOutbox(Protocol):
    """The outboxes of one collection."""

    async def remove_published(self, published: Mapping[str, Iterable[str]]) -> None:
        """Take events (ids by aggregate id) out."""


class Keeper(Protocol):
    """Where events are kept."""

    async def keep(self, events: Sequence[Event]) -> None:
        """Keep events for good; those already kept stay as they are."""


class Placed(msgspec.Struct, frozen=True):
    """An event, and in which document's outbox it stands."""

    outbox: str
    aggregate_id: str
    event: Event


class Clearing:
    """Holds what was published until it has left its outbox; `run` until cancelled, `flush` before the end."""

    def __init__(self, outboxes: Mapping[str, ClearedOutbox], keeper: Keeper, pause_s: float) -> None:
        """Clear every `pause_s` seconds, which must be far less than the age at which a sweep takes an event for left behind."""
        self._outboxes, self._keeper, self._pause_s = outboxes, keeper, pause_s
        self._shown: list[Placed] = []
        self._kept: list[_Place] = []
        self._added, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._flushing = asyncio.Lock()

    async def add(self, published: Sequence[Placed], *, kept: bool) -> None:
        """Have published events cleared soon, those not `kept` for good be so before; waits while too many wait."""
        await self._room.wait()
        if kept:
            self._kept += _places(published)
        else:
            self._shown += published
        self._note()

    async def run(self) -> None:
        """Clear a few times a second, or as soon as many wait; until cancelled."""
        cleared = True
        while True:
            await self._added.wait()
            if self._room.is_set() or not cleared:
                await asyncio.sleep(self._pause_s)
            cleared = await self.flush()

    async def flush(self) -> bool:
        """Clear what waits and return True; what a failure that may pass keeps from it waits on."""
        async with self._flushing:
            shown, self._shown = self._shown, []
            kept, self._kept = self._kept, []
            try:
                if shown:
                    await self._keeper.keep([placed.event for placed in shown])
                    kept, shown = kept + _places(shown), []
                await self._remove(kept)
            except TransientFailure as failure:
                log.warning("relay.not_removed", error=type(failure).__name__, events=len(shown) + len(kept))
                self._shown, self._kept = shown + self._shown, kept + self._kept
                return False
            finally:
                self._note()
            return True

    async def _remove(self, kept: Sequence["_Place"]) -> None:
        by_outbox: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for outbox, aggregate_id, event_id in kept:
            by_outbox[outbox][aggregate_id].append(event_id)
        for name, published in by_outbox.items():
            await self._outboxes[name].remove_published(published)

    def _note(self) -> None:
        waiting = len(self._shown) + len(self._kept)
        (self._added.set if waiting else self._added.clear)()
        (self._room.set if waiting < _MOST else self._room.clear)()


_Place = tuple[str, str, str]
"""An outbox, a document in it and an event's id: of a kept event nothing else is needed."""


def _places(placed: Sequence[Placed]) -> list[_Place]:
    return [(one.outbox, one.aggregate_id, one.event.event_id) for one in placed]
