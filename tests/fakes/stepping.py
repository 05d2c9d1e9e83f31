"""Interleavings on demand: everything that calls a stepped fake stops before and after each call until it is let go."""

import asyncio
import inspect


class Steps:
    """Runs tasks one step at a time; which goes next is up to whoever drives."""

    def __init__(self):
        self._waiting = []
        self._tasks = []

    async def turn(self):
        """Stop here until it is this task's turn."""
        gone_on = asyncio.get_running_loop().create_future()
        self._waiting.append(gone_on)
        await gone_on

    def over(self, fake):
        """Return `fake` with a step before and after each of its coroutines."""
        return _Stepped(fake, self)

    async def drive(self, starts, choose):
        """Start each of `starts` (functions that return coroutines, in order), let all end and return their outcomes.

        `choose(n)` picks from 0 to n-1: which waiting task makes its next step, or, as the last choice, that the next begins.
        """
        todo = list(starts)
        while todo or any(not task.done() for task in self._tasks):
            await self._all_stopped()
            ways = len(self._waiting) + bool(todo)
            if not ways:
                continue
            chosen = choose(ways)
            if chosen < len(self._waiting):
                self._waiting.pop(chosen).set_result(None)
            else:
                self._tasks.append(asyncio.ensure_future(todo.pop(0)()))
            await asyncio.sleep(0)
        return await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _all_stopped(self):
        while True:
            self._waiting = [waiting for waiting in self._waiting if not waiting.done()]
            if len(self._waiting) == sum(not task.done() for task in self._tasks):
                return
            await asyncio.sleep(0)


class _Stepped:
    def __init__(self, fake, steps):
        self._fake, self._steps = fake, steps

    def __getattr__(self, name):
        attribute = getattr(self._fake, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def stepped(*args, **options):
            await self._steps.turn()
            outcome = await attribute(*args, **options)
            await self._steps.turn()
            return outcome

        return stepped
