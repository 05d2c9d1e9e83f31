"""However a command is asked to stop, it cleans up as on Ctrl-C."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_S = 0.01


@contextmanager
def as_interrupt() -> Iterator[None]:
    """Inside, the first SIGINT, SIGTERM or SIGHUP raises `KeyboardInterrupt`; later ones do not disturb the clean-up.

    Where Python drops every exception, as in a destructor, it is raised again after it. For the main thread.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in _ASKED_BY:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    def dropped(unraisable: "sys.UnraisableHookArgs") -> None:
        if unraisable.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            hook(unraisable)

    before = {number: signal.signal(number, interrupt) for number in (*_ASKED_BY, signal.SIGALRM)}
    hook, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
