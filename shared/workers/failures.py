"""How work in another process fails, other than by the failures which the work itself raises."""

import errno

from shared.domain.errors import TransientFailure

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})
_NO_FOLDER = frozenset({errno.ENOENT, errno.EACCES, errno.EIO, errno.ESTALE})


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
    """The disk is full or read-only, or too many files are open: no fault of the work; there may be room elsewhere, or soon."""


def finds_no_room(error: BaseException) -> bool:
    """Say whether the machine has no room for the work, whatever process does it."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def finds_no_folder(error: BaseException) -> bool:
    """Say the same, or that the work folder is not to be used, of a service's own process: it opens no files but those there."""
    return finds_no_room(error) or (isinstance(error, OSError) and error.errno in _NO_FOLDER)


class PoolStopped(TransientFailure):
    """The pool is stopping: the job was not begun, or was cut short when the grace time ended."""

    def __init__(self) -> None:
        super().__init__("the worker pool is stopping")
