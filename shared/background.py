"""Tasks that run beside a service for as long as it lives: relays, reconcilers, pollers."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from shared.telemetry.logs import get_logger

log = get_logger()

Job = Callable[[], Awaitable[None]]

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
HEALTHY_AFTER_S = 60.0  # a run this long was not a quick succession of failures


async def supervise(coro_factory: Job, name: str, *, first_pause_s: float = FIRST_PAUSE_S) -> None:
    """Run `coro_factory()` until it returns; after an error log it, pause (doubling, jittered, at most 30 s) and run it again.

    Only a cancellation or a normal return ends it.
    """
    pause_s = first_pause_s
    while True:
        began = time.monotonic()
        try:
            return await coro_factory()
        except Exception:  # whatever broke it, the work has to go on
            if time.monotonic() - began >= HEALTHY_AFTER_S:
                pause_s = first_pause_s
            log.exception("background.restarting", task=name, pause_ms=round(pause_s * 1000))
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  # spreads restarts, guards nothing
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


class Background:
    """Owns the tasks of one service."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, coro_fn: Job) -> None:
        """Run `coro_fn` under `supervise`."""
        if name in self._tasks and not self._tasks[name].done():
            raise ValueError(f"a task named {name} is running already")
        self._tasks[name] = asyncio.create_task(supervise(coro_fn, name), name=name)

    async def stop(self, grace: float = 5.0) -> None:
        """Cancel every task and wait at most `grace` seconds for their cleaning up; what still runs then is logged."""
        running = {task for task in self._tasks.values() if not task.done()}
        for task in running:
            task.cancel()
        if running:
            _, stuck = await asyncio.wait(running, timeout=grace)
            for task in stuck:
                log.error("background.stuck", task=task.get_name(), grace_s=grace)
