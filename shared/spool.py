"""A folder of a process's own for files under work, which does not outlive the process for long, however that ends."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from shared.domain.ids import new_id


class Spool:
    """`folder` below the work folder, there from `open` to `close` and locked for as long as the process lives.

    The lock (flock, on the folder itself) goes with the process, kill -9 included: so the next process of the service knows
    which folders nobody uses any more. Replicas may share a work folder on one machine.
    """

    def __init__(self, work_dir: Path | None, service: str) -> None:
        self._parent = work_dir or Path(tempfile.gettempdir())
        self._prefix = f"earwitness-{service}-"
        self.folder = self._parent / new_id(self._prefix.rstrip("-")).replace("_", "-")
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder; remove those that dead processes of this service left, and no other."""
        self._parent.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers()
        unnamed = Path(tempfile.mkdtemp(prefix=".earwitness-", dir=self._parent))
        self._lock = _locked(unnamed)
        unnamed.rename(self.folder)  # whoever sees it finds it locked

    def close(self) -> None:
        """Remove the folder with everything in it; doing it again changes nothing."""
        if self._lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def _remove_leftovers(self) -> None:
        for left in self._parent.glob(f"{self._prefix}*"):
            with contextlib.suppress(OSError):  # in use, another user's, or somebody else is removing it
                lock = _locked(left)
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)


def _locked(folder: Path) -> int:
    """Lock `folder` and return the descriptor that holds the lock; raise an `OSError` when another process does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
