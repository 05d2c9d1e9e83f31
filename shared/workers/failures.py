"""How work in another process fails, other than by the failures which the work itself raises."""

import errno

from shared.domain.errors import TransientFailure

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class WorkerDied(TransientFailure):
    """The process ended in the middle of the job: killed, out of memory, or a fault in native code.

    `exit_code` is the process's own, negative for the signal that ended it.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"worker process ended with exit code {exit_code}")
        self.exit_code = exit_code


class WorkerTimedOut(TransientFailure):
    """The job outlasted its time limit; its process was killed."""

    def __init__(self, time_limit_s: float) -> None:
        super().__init__(f"worker process was killed after its time limit of {time_limit_s:g} s")
        self.time_limit_s = time_limit_s


class WorkerFailed(TransientFailure):
    """The work raised something that is neither of our two failures: a defect, or an ill-equipped machine.

    `remote_traceback` is the traceback of the other process, as text.
    """

    def __init__(self, message: str, remote_traceback: str) -> None:
        super().__init__(message)
        self.remote_traceback = remote_traceback


class NoRoom(TransientFailure):
    """The disk is full, or as much of it as is ours: no fault of the work, and there may be room elsewhere, or soon."""


def is_full(error: BaseException) -> bool:
    """Say whether a write failed because the disk is full."""
    return isinstance(error, OSError) and error.errno in _FULL


class PoolStopped(TransientFailure):
    """The pool is stopping: the job was not begun, or was cut short when the grace time ended."""

    def __init__(self) -> None:
        super().__init__("the worker pool is stopping")
