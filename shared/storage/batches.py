"""Work that comes at the same moment is done in batches, and each caller learns of its own.

A round trip to a database costs much the same however much it carries. What comes while round trips are under way waits for
one of them to end and then goes with all else that waits; alone, it goes at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar, cast

I = TypeVar("I")  # noqa: E741 - the item
O = TypeVar("O")  # noqa: E741 - its outcome

Work = Callable[[Sequence[I]], Awaitable[Sequence[O | Exception]]]
"""Does the items at once and returns the outcome of each, in order; an error raised is the outcome of all."""

AT_ONCE = 2
ONE_BY_ONE = 1
"""Larger batches and fewer of them: for what is asked so often that the asking costs more than the waiting."""

_MOST_ITEMS = 200


class Batches(Generic[I, O]):
    """Collects items for `work`; work on an item begins after it was handed in, never before."""

    def __init__(self, work: Work[I, O], at_once: int = AT_ONCE, most_items: int = _MOST_ITEMS) -> None:
        """Have at most `at_once` batches under way, of at most `most_items` each."""
        self._work, self._at_once, self._most_items = work, at_once, most_items
        self._waiting: list[tuple[I, asyncio.Future[O]]] = []
        self._workers: set[asyncio.Task[None]] = set()

    async def __call__(self, item: I) -> O:
        """Return the item's outcome, or raise it when it is an error."""
        outcome: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        if len(self._workers) < self._at_once:
            self._workers.add(asyncio.create_task(self._work_off()))
        return await outcome

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                await self._work_on_next()
        finally:  # here and now: a done-callback runs a moment later, and whoever came in between would wait for nobody
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _work_on_next(self) -> None:
        batch, self._waiting = self._waiting[: self._most_items], self._waiting[self._most_items :]
        try:
            outcomes = await self._work([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            outcomes = [error] * len(batch)
        for (_, waiting), outcome in zip(batch, outcomes, strict=True):
            _settle(waiting, outcome)


def _settle(waiting: "asyncio.Future[O]", outcome: O | Exception) -> None:
    if waiting.done():  # whoever waited has gone
        return
    if isinstance(outcome, Exception):
        waiting.set_exception(outcome)
    else:
        waiting.set_result(outcome)
