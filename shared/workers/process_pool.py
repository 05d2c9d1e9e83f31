"""A fixed number of warm worker processes, each of which can be killed without harm to anything else."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from shared.workers.failures import PoolStopped, WorkerDied, WorkerTimedOut
from shared.workers.messages import Failed, Succeeded, Warm, to_frame
from shared.workers.worker import Report, Work, Worker, WorkerOptions, failure_of

Job = TypeVar("Job")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

RESTART_DELAYS_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)


class ProcessPool(Generic[Job, Result]):
    """Keeps `size` processes in which `initialize()` has run once, and gives each one job at a time.

    `initialize` is importable (a function of a module, or a `functools.partial` of one) and returns the work: called with
    a job and a function that reports progress. Jobs, progress and results can be pickled. A process that dies or is killed
    is replaced; jobs wait in order while none is free. One event loop uses the pool.
    """

    def __init__(self, initialize: Callable[[], Work[Job, Result]], *, size: int, options: WorkerOptions | None = None) -> None:
        self.size = size
        self._initialize = initialize
        self._options = options or WorkerOptions()
        self._workers: dict[Worker, asyncio.Task[None]] = {}
        self._idle: asyncio.Queue[Worker | None] = asyncio.Queue()
        self._busy: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._changed = asyncio.Condition()

    @property
    def warm(self) -> int:
        """How many processes are alive and initialized, busy or not."""
        return len(self._workers)

    async def check(self) -> None:
        """Raise unless one is (readiness)."""
        if self.warm == 0:
            raise RuntimeError("no worker process is warm")

    @property
    def busy(self) -> int:
        """How many processes have a job."""
        return len(self._busy)

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the warm workers."""
        return tuple(worker.pid for worker in self._workers)

    async def start(self) -> None:
        """Start all processes; returns when all are warm. If one fails to start, none remains and its failure is raised."""
        starts = [asyncio.ensure_future(self._add_worker()) for _ in range(self.size)]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.stop()
            raise

    async def run(self, job: Job, *, on_progress: Report | None = None, time_limit_s: float | None = None) -> Result:
        """Run `job` in the next free process and return its result.

        Raises the work's `PermanentFailure` or `TransientFailure`, `WorkerFailed` for anything else it raised, `WorkerDied`,
        `WorkerTimedOut` (the limit counts from the job's start, not its wait), or `PoolStopped`. Cancelling the caller, the
        time limit and an exception of `on_progress` kill the process.
        """
        frame = to_frame(job)
        worker = await self._take()
        outcome: Succeeded | Failed | Warm | None = None
        try:
            async with asyncio.timeout(time_limit_s) as limit:
                outcome = await worker.exchange(frame, on_progress or _ignore)
        except TimeoutError:
            if time_limit_s is None or not limit.expired():
                raise
            raise WorkerTimedOut(time_limit_s) from None
        except WorkerDied:
            if self._stopping:
                raise PoolStopped from None
            raise
        finally:
            self._give_back(worker, healthy=outcome is not None)
        if isinstance(outcome, Failed):
            raise failure_of(outcome)
        assert isinstance(outcome, Succeeded), outcome  # a warm process says nothing else
        result: Result = outcome.result
        return result

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more jobs, give the running ones `grace_s` to end, then kill what is left; returns when all are reaped."""
        self._stopping = True
        self._idle.put_nowait(None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(grace_s), self._changed:
                await self._changed.wait_for(lambda: not self._busy)
        except TimeoutError:
            log.warning("worker pool stops with %d jobs unfinished", len(self._busy))
        watches = list(self._workers.values())
        for worker in self._workers:
            worker.kill()
        await asyncio.gather(*watches)

    async def _take(self) -> Worker:
        """The next worker that is still alive; those waiting when the pool stops are told so."""
        while not self._stopping:
            worker = await self._idle.get()
            if worker is None:
                self._idle.put_nowait(None)
            elif worker in self._workers:
                self._busy.add(worker)
                return worker
        raise PoolStopped

    def _give_back(self, worker: Worker, *, healthy: bool) -> None:
        self._busy.discard(worker)
        if healthy:
            self._idle.put_nowait(worker)
        else:
            worker.kill()
        self._spawn(self._tell_change())

    async def _tell_change(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _add_worker(self) -> None:
        worker = await Worker.start(self._initialize, self._options)
        self._workers[worker] = asyncio.create_task(self._watch(worker))
        self._idle.put_nowait(worker)

    async def _watch(self, worker: Worker) -> None:
        """Replace the worker when its process ends, for whatever reason."""
        exit_code = await worker.ended()
        del self._workers[worker]
        if not self._stopping:
            log.warning("worker process %d ended with exit code %d and is replaced", worker.pid, exit_code)
            self._spawn(self._restart())

    async def _restart(self) -> None:
        attempt = 0
        while not self._stopping:
            await asyncio.sleep(RESTART_DELAYS_S[min(attempt, len(RESTART_DELAYS_S) - 1)])
            try:
                await self._add_worker()
            except Exception:
                log.exception("worker process did not start (attempt %d)", attempt + 1)
                attempt += 1
            else:
                return

    def _spawn(self, work: Any) -> None:  # noqa: ANN401 - a coroutine whose result nobody reads
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _ignore(_: object) -> None:
    """Progress nobody asked for."""
