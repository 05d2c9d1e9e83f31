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

    def over(self, fake, *, after=True):
        """Return `fake` with a step before each of its coroutines, and one after it: that its answer is on the way."""
        return _Stepped(fake, self, after=after)

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


async def every_schedule(run):
    """Await `run(choose)` once for each way in which it can go; it is to do the same at the same choices."""
    chosen = []
    while True:
        taken = []

        def choose(ways, chosen=chosen, taken=taken):
            taken.append((chosen[len(taken)] if len(taken) < len(chosen) else 0, ways))
            return taken[-1][0]

        await run(choose)
        while taken and taken[-1][0] == taken[-1][1] - 1:
            taken.pop()
        if not taken:
            return
        chosen = [choice for choice, _ in taken[:-1]] + [taken[-1][0] + 1]


class _Stepped:
    def __init__(self, fake, steps, *, after):
        self._fake, self._steps, self._after = fake, steps, after

    def __getattr__(self, name):
        attribute = getattr(self._fake, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def stepped(*args, **options):
            await self._steps.turn()
            outcome = await attribute(*args, **options)
            if self._after:
                await self._steps.turn()
            return outcome

        return stepped
