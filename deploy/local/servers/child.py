"""One child process: in its own session, its output in a file, dead when its parent is, unless it is to outlive it."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

STOP_GRACE_S = 15.0
_TETHER = Path(__file__).with_name("tether.py")
_HELD = Path(__file__).with_name("held.py")


class _Spawn(NamedTuple):
    """What is to be started, and who waits for it."""

    command: list[str]
    environment: dict[str, str]
    log: Path
    inherited: Sequence[int]
    started: Future["subprocess.Popen[bytes]"]


class Spawner:
    """Starts every child from one thread that lives as long as the process.

    The kernel ties "die with the parent" to the thread that forked, so a worker thread's end would kill what it had started.
    """

    def __init__(self) -> None:
        self._wanted: queue.SimpleQueue[_Spawn] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._owner = 0

    def spawn(
        self, command: list[str], environment: dict[str, str], log: Path, inherited: Sequence[int] = ()
    ) -> "subprocess.Popen[bytes]":
        """Start `command` in its own session with stdout and stderr appended to `log`; it inherits these descriptors."""
        with self._lock:
            if self._owner != os.getpid():  # the first child, or the first after a fork, which threads do not survive
                self._owner = os.getpid()
                threading.Thread(target=self._serve, name="spawner", daemon=True).start()
        started: Future[subprocess.Popen[bytes]] = Future()
        self._wanted.put(_Spawn(command, environment, log, inherited, started))
        return started.result()

    def _serve(self) -> None:
        while True:
            wanted = self._wanted.get()
            try:
                with wanted.log.open("ab") as output:
                    process = subprocess.Popen(
                        wanted.command,
                        env=wanted.environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                        pass_fds=wanted.inherited,
                    )
                wanted.started.set_result(process)
            except OSError as error:
                wanted.started.set_exception(error)


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

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        spawned: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the program with `environment` added to our own; a second start while it runs is refused.

        `spawned` is called once there is a process. One that is to outlive us does nothing until that returned: noted there, it
        can be found again however we end, and when we end before, it ends as well.
        """
        if self.pid is not None:
            raise RuntimeError(f"{self.name} runs already")
        program = shutil.which(command[0])
        if program is None:
            raise FileNotFoundError(f"{self.name}: no program {command[0]}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._process = None
        full, whole = [program, *command[1:]], {**os.environ, **(environment or {})}
        try:
            if self._tethered:
                self._process = SPAWNER.spawn([*_alone(_TETHER), str(os.getpid()), *full], whole, self.log)
                spawned()
            else:
                self._start_held(full, whole, spawned)
        except BaseException:
            self.kill()
            raise

    def _start_held(self, command: list[str], environment: dict[str, str], spawned: Callable[[], None]) -> None:
        told, telling = os.pipe()
        with os.fdopen(telling, "wb", buffering=0) as word:
            try:
                self._process = SPAWNER.spawn([*_alone(_HELD), str(told), *command], environment, self.log, [told])
            finally:
                os.close(told)
            spawned()
            with suppress(BrokenPipeError):  # it was killed meanwhile
                word.write(b"!")

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


def _alone(script: Path) -> list[str]:
    return [sys.executable, "-I", "-S", str(script)]
