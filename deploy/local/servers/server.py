"""What every embedded server does: start until it answers, stop, die, come back, forget."""

import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from deploy.local.servers.child import Child

START_DEADLINE_S = 60.0
_POLL_S = 0.03


class ServerUnavailable(Exception):
    """The server cannot be run here; the message says what is missing and what to use instead."""


class ServerDidNotStart(Exception):
    """The server ended or stayed silent; the message ends with its log's last lines."""


class NotYet(Exception):
    """The server does not answer its protocol yet."""


class Server(ABC):
    """One server with its data folder and ports, which stay the same over restarts."""

    name: str

    def __init__(self, folder: Path, *, tethered: bool = True) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.child = Child(self.name, folder / f"{self.name}.log", tethered=tethered)
        self.spawned: Callable[[], None] = lambda: None
        """Called as soon as there is a process of it, before it answers; from several threads when several start at once."""

    def prepare(self, given_up: threading.Event) -> None:  # noqa: B027  # most need nothing
        """Fetch what the program needs, once; `ServerUnavailable` when this machine lacks the means. Ends soon when given up."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program and its arguments; `ServerUnavailable` when this machine lacks something."""

    @abstractmethod
    def check(self) -> None:
        """Return when the server answers its protocol; anything raised means not yet."""

    def environment(self) -> dict[str, str]:
        """Return the variables the program needs besides ours."""
        return {}

    def last_words(self) -> str:
        """Return the lines of the log that say best why it does not run."""
        return self.child.tail()

    def start(self, deadline_s: float = START_DEADLINE_S, given_up: threading.Event | None = None) -> None:
        """Start and wait until the server truly answers; on failure, or when given up, nothing of it is left running."""
        given_up = given_up or threading.Event()
        self.prepare(given_up)
        self.data.mkdir(parents=True, exist_ok=True)
        self.child.start(self.command(), self.environment(), self.spawned)
        try:
            self._await_answer(time.monotonic() + deadline_s, given_up)
        except BaseException:
            self.child.kill()
            raise

    def stop(self) -> None:
        """End it in order; its data stays."""
        self.child.stop()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL); its data stays as it is."""
        self.child.kill()

    def restart(self) -> None:
        """Stop unless stopped, then start on the same port and data."""
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Kill, forget all data, start empty on the same port."""
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)
        self.start()

    def _await_answer(self, deadline: float, given_up: threading.Event) -> None:
        reason = "no answer"
        while time.monotonic() < deadline and not given_up.is_set():
            if self.child.exit_code is not None:
                reason = f"exit code {self.child.exit_code}"
                break
            try:
                self.check()
            except Exception as error:  # noqa: BLE001  # a driver's errors are many; each means not yet, and the last is reported
                reason = f"{type(error).__name__}: {error}"
                time.sleep(_POLL_S)
            else:
                return
        raise ServerDidNotStart(f"{self.name} did not start ({reason}); from {self.child.log}:\n{self.last_words()}")


def start_all(servers: Iterable[Server], deadline_s: float = START_DEADLINE_S) -> None:
    """Start all at once; when one fails, or on Ctrl-C, the others are ended before the error leaves."""
    servers = list(servers)
    given_up = threading.Event()
    try:
        with ThreadPoolExecutor(max_workers=max(1, len(servers))) as pool:
            starting = [pool.submit(server.start, deadline_s, given_up) for server in servers]
            try:
                for started in as_completed(starting):
                    started.result()
            except BaseException:
                given_up.set()
                for server in servers:
                    server.kill()
                raise
    except BaseException:
        for server in servers:  # what a thread started after it was killed
            server.kill()
        raise


def stop_all(servers: Iterable[Server]) -> None:
    """Stop all at once; none is left when it returns."""
    servers = list(servers)
    with ThreadPoolExecutor(max_workers=max(1, len(servers))) as pool:
        for done in [pool.submit(server.stop) for server in servers]:
            done.result()
