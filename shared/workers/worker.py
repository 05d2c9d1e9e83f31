"""One worker process as its parent sees it."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Any, Self, TypeVar

import msgspec

from shared.domain.errors import FailureReason, PermanentFailure, TransientFailure
from shared.settings import environment_without_settings
from shared.workers.failures import NoRoom, WorkerDied, WorkerFailed
from shared.workers.messages import LENGTH, Failed, Message, Progressed, Succeeded, Warm, from_body, to_frame

Job = TypeVar("Job")
Result = TypeVar("Result")

Report = Callable[[Any], None]
Work = Callable[[Job, Report], Result]

# The import path comes first, and nothing else is imported before the child has set its own limits.
BOOT = "import sys; sys.path[:] = sys.argv[4:]; from shared.workers.child import main; main(*(int(n) for n in sys.argv[1:4]))"
WITHOUT_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
"""What keeps ONNX Runtime and the model hub's client from noting and sending how they are used."""
READ_AHEAD_BYTES = 1 << 20


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker process runs.

    `nice` keeps API and health checks responsive while every core works: of a core that both want, they have three quarters.
    `threads` bounds what native libraries start by themselves; `warm_up_limit_s` is how long `initialize()` may take.
    """

    nice: int = 5
    threads: int = 1
    warm_up_limit_s: float = 300.0


class Worker:
    """A started process; it runs one job at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @classmethod
    async def start(cls, initialize: Callable[[], Work[Any, Any]], options: WorkerOptions) -> Self:
        """Start a process and wait until `initialize()` has returned in it; on any failure no process remains.

        The child closes every descriptor but the three standard ones, so that it holds no listening socket, and a session
        of its own keeps the terminal's signals away. It is given none of our settings: what it decodes may be hostile, and it
        needs no secret. Its libraries report to nobody.
        """
        worker = cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                BOOT,
                *(str(number) for number in (os.getpid(), options.nice, options.threads)),
                *sys.path,
                stdin=PIPE,
                stdout=PIPE,
                limit=READ_AHEAD_BYTES,
                start_new_session=True,
                env=environment_without_settings() | WITHOUT_TELEMETRY,
            )
        )
        try:
            async with asyncio.timeout(options.warm_up_limit_s):
                warmed_up(await worker.exchange(to_frame(initialize), lambda _: None))
        except BaseException:
            worker.kill()
            await worker.ended()
            raise
        return worker

    async def exchange(self, frame: bytes, on_progress: Report) -> Succeeded | Failed | Warm:
        """Send a job and hear it out; raises `WorkerDied` when the process ends before it has answered."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(frame)
            await stdin.drain()
            while isinstance(message := await self._next_message(), Progressed):
                on_progress(message.value)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.kill()
            raise WorkerDied(await self.ended()) from None
        return message

    async def _next_message(self) -> Message:
        stdout = self._process.stdout
        assert stdout is not None
        (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
        message: Message = from_body(await stdout.readexactly(length))
        return message

    def kill(self) -> None:
        """End the process at once, if it still runs; `ended()` tells when it is gone.

        Not by `Process.kill`, which may reap the process itself and so lose its exit code to the event loop.
        """
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def ended(self) -> int:
        """Wait until the process has ended and is reaped; returns its exit code."""
        return await self._process.wait()


def warmed_up(outcome: Message) -> None:
    """Raise what `initialize()` raised, if it did."""
    if isinstance(outcome, Failed):
        raise failure_of(outcome)


def failure_of(failed: Failed) -> Exception:
    """What the work raised in the other process, as this process raises it."""
    if failed.reason is not None:
        return PermanentFailure(FailureReason(failed.reason), failed.message, chunk_number=failed.chunk_number)
    if failed.transient:
        return TransientFailure(failed.message)
    if failed.no_room:
        return NoRoom(failed.message)
    return WorkerFailed(failed.message, failed.traceback)
