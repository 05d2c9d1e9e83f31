"""One child process: in its own session, its output in a file, dead when its parent is."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

STOP_GRACE_S = 15.0
_TETHER = Path(__file__).with_name("tether.py")

_Spawn = tuple[list[str], dict[str, str], Path, Future["subprocess.Popen[bytes]"]]


class Spawner:
    """Starts every child from one thread that lives as long as the process.

    The kernel ties "die with the parent" to the thread that forked, so a worker thread's end would kill what it had started.
    """

    def __init__(self) -> None:
        self._wanted: queue.SimpleQueue[_Spawn] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._owner = 0

    def spawn(self, command: list[str], environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
        """Start `command` in its own session with stdout and stderr appended to `log`."""
        with self._lock:
            if self._owner != os.getpid():  # the first child, or the first after a fork, which threads do not survive
                self._owner = os.getpid()
                threading.Thread(target=self._serve, name="spawner", daemon=True).start()
        started: Future[subprocess.Popen[bytes]] = Future()
        self._wanted.put((command, environment, log, started))
        return started.result()

    def _serve(self) -> None:
        while True:
            command, environment, log, started = self._wanted.get()
            try:
                with log.open("ab") as output:
                    process = subprocess.Popen(
                        command,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                started.set_result(process)
            except OSError as error:
                started.set_exception(error)


SPAWNER = Spawner()


class Child:
    """A program that can be started, asked to end, killed and started again; nothing of it outlives `stop` and `kill`."""

    def __init__(self, name: str, log: Path, *, tethered: bool = True) -> None:
        self.name = name
        self.log = log
        self._tethered = tethered
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How the last run ended; None while it runs or before the first."""
        return self._process.poll() if self._process is not None else None

    def start(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start the program with `environment` added to our own; a second start while it runs is refused."""
        if self.pid is not None:
            raise RuntimeError(f"{self.name} runs already")
        program = shutil.which(command[0])
        if program is None:
            raise FileNotFoundError(f"{self.name}: no program {command[0]}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        full = [program, *command[1:]]
        if self._tethered:
            full = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), *full]
        self._process = SPAWNER.spawn(full, {**os.environ, **(environment or {})}, self.log)

    def wait(self) -> int | None:
        """Wait until it ends by itself; the exit code, None when it never ran."""
        return self._process.wait() if self._process is not None else None

    def stop(self, grace_s: float = STOP_GRACE_S) -> int | None:
        """SIGTERM, then SIGKILL after the grace time; the exit code, None when it never ran."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        return self.kill()

    def kill(self) -> int | None:
        """SIGKILL to the program and whatever it started; returns once it is gone."""
        if self._process is None:
            return None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its output."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - 16_384))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
