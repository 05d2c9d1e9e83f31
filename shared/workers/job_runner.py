"""Runs jobs that may outlast a poll interval: the Kafka message is only the wake-up, the document in MongoDB is the job.

So workers are not capped by partitions, a broker that forgot everything costs nothing but a poll, and a dead worker's job is
taken over when its lease ends.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec

from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure, TransientFailure
from shared.domain.job import Failure, Job
from shared.domain.trace import traced
from shared.telemetry.logs import bind, get_logger, wide_event
from shared.telemetry.metrics import jobs, leases_lost_total, stage_seconds
from shared.workers.failures import NoRoom, WorkerDied, WorkerFailed, WorkerTimedOut, finds_no_folder
from shared.workers.lease_queue import LeaseLost, LeaseQueue

log = get_logger()
A = TypeVar("A", bound=Any)
R = TypeVar("R")
_BLAMING = (WorkerDied, WorkerTimedOut, WorkerFailed)
_BACKOFF_S = (1.0, 5.0, 15.0, 60.0)
_ROOM_AFTER_S = 30.0
_ROOM_WITHIN = timedelta(days=1)  # of the job's queueing: what does not fit until then may never do
_NOTICE_S = 3.0  # a job whose document was deleted, or cancelled, stops within so long


class JobLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How a runner works: `slots` jobs at once, leases of `lease_s`, a look at the queue every `poll_s` seconds.

    A job that failed `max_attempts` times through no fault of the platform's stores is given up, one that killed its worker
    process `max_deaths` times or outlasted its time limit sooner.
    """

    slots: int
    lease_s: float = 30.0
    poll_s: float = 1.0
    max_attempts: int = 5
    max_deaths: int = 2


async def _nothing(_result: object) -> None:
    """Do nothing after a job."""


class JobRunner(Generic[A, R]):
    """Claims and works jobs of one queue until stopped; `wake` when one may have come.

    `afterwards` gets what `work` returned: it tidies up behind a job that has ended and so has no lease to lose.
    """

    def __init__(  # noqa: PLR0913 - what it works on, and how
        self,
        queue: LeaseQueue[A],
        work: Callable[[A], Awaitable[R]],
        *,
        name: str,
        worker: str,
        limits: JobLimits,
        afterwards: Callable[[R], Awaitable[object]] = _nothing,
    ) -> None:
        self._queue, self._work, self._afterwards = queue, work, afterwards
        self._name, self._worker, self._limits = name, worker, limits
        self._woken = asyncio.Event()
        self._slots = asyncio.Semaphore(limits.slots)
        self._running: set[asyncio.Task[None]] = set()
        self._claiming = asyncio.Lock()
        self._stopping = False
        self._count()

    def wake(self) -> None:
        """Look for a job now instead of at the next poll."""
        self._woken.set()

    async def run(self) -> None:
        """Claim and start jobs while slots are free; until cancelled or stopped."""
        while not self._stopping:
            await self._slots.acquire()
            async with self._claiming:
                claimed = None
                try:
                    claimed = await self._next()
                finally:
                    if claimed is None:
                        self._slots.release()
                if claimed is not None:
                    self._start(claimed)

    async def stop(self, grace_s: float) -> None:
        """Claim no more; let running jobs finish within `grace_s` seconds, then hand the rest back."""
        self._stopping = True
        self.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s), self._claiming:  # what a claim under way brings is running then
                pass
        if self._running:
            await asyncio.wait(self._running, timeout=grace_s)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _next(self) -> A | None:
        """Wait for a job at most one poll interval; the wake-up is forgotten before looking, so that none is missed."""
        self._woken.clear()
        if self._stopping:
            return None
        try:
            claimed = await self._queue.claim(self._worker, self._limits.lease_s)
        except TransientFailure as failure:
            log.warning("jobs.not_claimed", queue=self._name, error=type(failure).__name__, reason=str(failure)[:200])
            claimed = None
        if claimed is None:
            with contextlib.suppress(TimeoutError):
                wait_s = self._limits.poll_s * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
                await asyncio.wait_for(self._woken.wait(), wait_s)
        return claimed

    def _start(self, claimed: A) -> None:
        task = asyncio.create_task(self._run_one(claimed))
        self._running.add(task)
        task.add_done_callback(self._ended)
        self._count()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._slots.release()
        self._count()
        if not task.cancelled() and task.exception() is not None:
            log.error("jobs.runner_fault", queue=self._name, exc_info=task.exception())

    def _count(self) -> None:
        jobs.labels(self._name, "running").set(len(self._running))
        jobs.labels(self._name, "free").set(self._limits.slots - len(self._running))

    async def _run_one(self, claimed: A) -> None:
        about = {"job_id": claimed.job.id, "attempt": claimed.job.attempts, "project_id": claimed.project_id}
        recording_id = getattr(claimed, "recording_id", claimed.id)  # the job is a recording's, or something's of a recording
        with traced(claimed.job.trace_id), bind(**about, recording_id=recording_id):
            try:
                with wide_event(log, self._name, id=claimed.id, claim=claimed.job.token) as line:
                    await self._attempt(claimed, line)
            except PermanentFailure as failure:
                await self._give_up(claimed, failure)
            except asyncio.CancelledError:
                await self._hand_back(claimed, 0, counted=False)
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, the job is tried again or given up, never lost
                await self._try_again(claimed, error)

    async def _attempt(self, claimed: A, line: dict[str, Any]) -> None:
        """Do the work once; that somebody took the job over or deleted what it was about is an outcome, not an error."""
        self._refuse_exhausted(claimed.job)
        began = time.perf_counter()
        try:
            result = await self._leased(claimed)
        except LeaseLost:
            line["outcome"] = "lost"
            leases_lost_total.labels(self._name).inc()
            log.warning("jobs.lease_lost", queue=self._name, id=claimed.id)
            return
        stage_seconds.labels(claimed.job.kind).observe(time.perf_counter() - began)
        await self._afterwards(result)

    async def _leased(self, claimed: A) -> R:
        """Do the work while a heartbeat renews the lease; a lost lease stops the work."""
        work = asyncio.ensure_future(self._work(claimed))
        heartbeat = asyncio.create_task(self._keep_lease(claimed))
        try:
            await asyncio.wait({work, heartbeat}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise LeaseLost(claimed.id)
            return await work
        finally:
            for task in (work, heartbeat):
                task.cancel()
            await asyncio.gather(work, heartbeat, return_exceptions=True)

    async def _keep_lease(self, claimed: A) -> None:
        """Return when the lease is lost: taken over, or not renewed before it ended."""
        until = now() + timedelta(seconds=self._limits.lease_s)
        while now() < until:
            await asyncio.sleep(min(self._limits.lease_s / 4, _NOTICE_S))
            with contextlib.suppress(TransientFailure):
                next_until = now() + timedelta(seconds=self._limits.lease_s)
                if not await self._queue.renew(claimed, next_until):
                    return
                until = next_until

    async def _try_again(self, claimed: A, error: Exception) -> None:
        no_room = isinstance(error, NoRoom) or finds_no_folder(error)
        counted = _waited_long(claimed.job) if no_room else _is_to_blame(error)
        if counted and (last := self._last_straw(claimed.job, error)):
            await self._give_up(claimed, PermanentFailure(FailureReason.PROCESSING_ERROR, last))
            return
        backoff_s = _BACKOFF_S[min(claimed.job.attempts, len(_BACKOFF_S)) - 1] if counted else _BACKOFF_S[0]
        if no_room:
            backoff_s = max(backoff_s, _ROOM_AFTER_S)  # to try the same disk again at once would help nobody
        await self._hand_back(claimed, backoff_s, counted=counted, died=isinstance(error, WorkerDied))

    def _refuse_exhausted(self, job: Job) -> None:
        """Give up a job whose workers vanished too often to say why, as when it takes the whole service with it."""
        if job.attempts > self._limits.max_attempts:
            raise PermanentFailure(FailureReason.PROCESSING_ERROR, "the work was begun again and again and never ended")

    def _last_straw(self, job: Job, error: Exception) -> str | None:
        """Return why the job is not tried again, if so."""
        if isinstance(error, WorkerTimedOut):
            return f"the work did not end within its time limit of {error.time_limit_s:g} s"
        if isinstance(error, WorkerDied) and job.deaths + 1 >= self._limits.max_deaths:
            return "the work ended its worker process again and again"
        return "the work failed again and again" if job.attempts >= self._limits.max_attempts else None

    async def _give_up(self, claimed: A, failure: PermanentFailure) -> None:
        record = Failure(reason=failure.reason, message=failure.message, chunk_number=failure.chunk_number)
        try:
            await self._queue.fail(claimed, record)
        except TransientFailure as outage:
            log.warning(
                "jobs.not_failed_yet", queue=self._name, id=claimed.id, reason=str(outage)[:200]
            )  # the lease ends by itself

    async def _hand_back(self, claimed: A, after_s: float, *, counted: bool, died: bool = False) -> None:
        with contextlib.suppress(TransientFailure):  # the lease ends by itself
            await self._queue.hand_back(claimed, after_s, counted=counted, died=died)
        self.wake()


def _is_to_blame(error: Exception) -> bool:
    """Say whether it may be the job's fault: an outage of what we depend on is not, a worker's death or a defect may be."""
    return isinstance(error, _BLAMING) or not isinstance(error, TransientFailure)


def _waited_long(job: Job) -> bool:
    return now() - job.queued_at > _ROOM_WITHIN
