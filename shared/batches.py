"""Work that comes at the same moment is done in batches, and each caller learns of its own.

A round trip to a database costs much the same however much it carries. What comes while round trips are under way waits for
one of them to end and then goes with all else that waits; alone, it goes at once. Whoever was just answered often has more to
ask, so a patient batch waits a moment for those to come back: else a crowd stays split in groups that follow each other.
"""

import asyncio
import contextlib
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
_MOST_PATIENCE_S = 0.01  # however slow the database is


class Batches(Generic[I, O]):
    """Collects items for `work`; work on an item begins after it was handed in, never before."""

    def __init__(self, work: Work[I, O], at_once: int = AT_ONCE, most_items: int = _MOST_ITEMS, patience: float = 0.0) -> None:
        """Have at most `at_once` batches under way, of at most `most_items` each.

        With one at once and `patience`, a batch after which several items were answered or waiting is followed by the next when
        as many wait again, or when `patience` times the time that it took has passed.
        """
        self._work, self._at_once, self._most_items, self._patience = work, at_once, most_items, patience
        self._waiting: list[tuple[I, asyncio.Future[O]]] = []
        self._workers: set[asyncio.Task[None]] = set()
        self._crowd, self._crowd_until = 0, 0.0
        self._crowd_is_back: asyncio.Event = asyncio.Event()

    def __call__(self, item: I) -> "asyncio.Future[O]":
        """Hand the item in; what is returned becomes its outcome, or raises it when it is an error."""
        outcome: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        if len(self._waiting) >= self._crowd:
            self._crowd_is_back.set()
        if len(self._workers) < self._at_once:
            self._workers.add(asyncio.create_task(self._work_off()))
        return outcome

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                await self._crowd_or_time()
                await self._work_on_next()
        finally:  # here and now: a done-callback runs a moment later, and whoever came in between would wait for nobody
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _crowd_or_time(self) -> None:
        """Wait until as many are there as there were, or until waiting for them is not worth it any more."""
        if len(self._waiting) < self._crowd and asyncio.get_running_loop().time() < self._crowd_until:
            self._crowd_is_back.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._crowd_until):
                    await self._crowd_is_back.wait()

    async def _work_on_next(self) -> None:
        began = asyncio.get_running_loop().time()
        batch, self._waiting = self._waiting[: self._most_items], self._waiting[self._most_items :]
        try:
            outcomes = await self._work([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            outcomes = [error] * len(batch)
        self._expect(len(batch) + len(self._waiting), asyncio.get_running_loop().time() - began)
        for (_, waiting), outcome in zip(batch, outcomes, strict=True):
            _settle(waiting, outcome)

    def _expect(self, crowd: int, took_s: float) -> None:
        patience_s = min(self._patience * took_s, _MOST_PATIENCE_S) if crowd > 1 else 0.0
        self._crowd, self._crowd_until = min(crowd, self._most_items), asyncio.get_running_loop().time() + patience_s


def _settle(waiting: "asyncio.Future[O]", outcome: O | Exception) -> None:
    if waiting.done():  # whoever waited has gone
        return
    if isinstance(outcome, Exception):
        waiting.set_exception(outcome)
    else:
        waiting.set_result(outcome)
