"""What `make up` remembers for `make down` and for the next `make up`: one file, readable by its owner only."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from deploy.local.plan import Plan
from deploy.local.processes import Mark, is_running

FOLDER = Path(__file__).parents[2] / ".local"


class State(msgspec.Struct, frozen=True):
    """A stack: its plan, its processes in the order they are stopped in (empty when it is down), and the key to it."""

    plan: Plan
    services: list[Mark] = []
    servers: list[Mark] = []
    project_id: str = ""
    api_key: str = ""
    whole: bool = True  # not when the `up` that wrote it was on its way

    @property
    def running(self) -> list[Mark]:
        """What of it runs at this moment."""
        return [noted for noted in (*self.services, *self.servers) if is_running(noted)]


class StateUnreadable(Exception):
    """The file is not as we write it; the message names it."""


class StateFile:
    """The file `stack.json` in the stack's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "stack.json"

    def read(self) -> State | None:
        """Return what was remembered; None when nothing was. Raises `StateUnreadable`."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=State)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise StateUnreadable(f"{self._path} cannot be read: {error}") from error

    def write(self, state: State) -> None:
        """Remember, all or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(state)))
        fresh.replace(self._path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one `up` or `down` work at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
