"""How a process is asked to stop, and the last resort when it does not."""

import asyncio
import faulthandler
import multiprocessing
import os
import signal
from types import FrameType

LAST_RESORT_S = 3.0  # after the grace time, a process that still does not end is ended, its stacks on stderr


class StopSignals:
    """The first SIGTERM or SIGINT sets `stopping`; a second one ends the process where it stands."""

    def __init__(self, grace_s: float) -> None:
        self.stopping = asyncio.Event()
        self._grace_s = grace_s
        self._received = False
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)  # unlike the loop's own handlers, it is heard while the loop is blocked

    def finish(self) -> None:
        """Give what is left (threads, finalizers) a few seconds; any signal from now on ends the process."""
        self._received = True
        faulthandler.dump_traceback_later(LAST_RESORT_S, exit=True)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        """Ask for a drain, or, asked before, end at once and take the worker processes along."""
        if self._received:
            for child in multiprocessing.active_children():
                child.kill()
            os._exit(128 + number)
        self._received = True
        faulthandler.dump_traceback_later(self._grace_s + LAST_RESORT_S, exit=True)  # a blocked loop cannot time itself out
        self._loop.call_soon_threadsafe(self.stopping.set)
