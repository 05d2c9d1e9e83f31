"""A long job that lives inside a document: claimed with a lease, fenced by a token that grows with every claim."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from shared.domain.errors import FailureReason
from shared.domain.trace import current_trace


class JobStatus(StrEnum):
    """Where a job stands; the words are those of `stitching.status` on the wire (contract A6)."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class JobKind(StrEnum):
    """What a job does to the document that holds it."""

    VERIFY = "verify"
    STITCH = "stitch"
    TRANSCRIBE = "transcribe"


class Lane(StrEnum):
    """Which workers a job waits for: those that compute here, or those that wait for others on the network."""

    HERE = "here"
    ELSEWHERE = "elsewhere"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of long work, of which the newest `token` alone may write the result.

    `available_at` is when it may be claimed: the queueing time at first, the end of the lease while running, the end of
    the backoff after a failed attempt; None once the job has ended. Within a project a higher `priority` goes first. `deaths`
    counts the worker processes that ended in the middle of it. `trace_id` is that of whoever queued it.
    """

    id: str
    kind: JobKind
    lane: Lane = Lane.HERE
    priority: int = 0
    status: JobStatus = JobStatus.QUEUED
    queued_at: datetime
    available_at: datetime | None
    token: int = 0
    attempts: int = 0
    deaths: int = 0
    worker: str | None = None
    trace_id: str | None = msgspec.field(default_factory=current_trace)

    @property
    def active(self) -> bool:
        """Whether it waits or runs: something will yet come of it."""
        return self.status in (JobStatus.QUEUED, JobStatus.RUNNING)

    def claimed(self, worker: str, at: datetime, lease_s: float) -> "Job":
        """Return the job as `worker` holds it until `at` plus `lease_s` seconds."""
        return msgspec.structs.replace(
            self,
            status=JobStatus.RUNNING,
            token=self.token + 1,
            attempts=self.attempts + 1,
            worker=worker,
            available_at=at + timedelta(seconds=lease_s),
        )

    def handed_back(self, at: datetime, after_s: float, *, counted: bool, died: bool = False) -> "Job":
        """Return the job to the queue, claimable `after_s` seconds later; an attempt not `counted` is forgotten.

        `died`: it took its worker process with it.
        """
        return msgspec.structs.replace(
            self,
            status=JobStatus.QUEUED,
            attempts=self.attempts if counted else max(0, self.attempts - 1),
            deaths=self.deaths + died,
            worker=None,
            available_at=at + timedelta(seconds=after_s),
        )

    def woken(self, at: datetime) -> "Job":
        """Return the job as it may be claimed from `at` on if it waits in the queue; else as it is."""
        return msgspec.structs.replace(self, available_at=at) if self.status is JobStatus.QUEUED else self

    def ended(self, status: JobStatus) -> "Job":
        """Return the job as completed or failed."""
        return msgspec.structs.replace(self, status=status, worker=None, available_at=None)

    def stopped(self) -> "Job":
        """Return the job as nobody may claim, renew or finish it any more; one that has ended stays as it is."""
        return self if self.available_at is None else self.ended(JobStatus.FAILED)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a recording or a transcription failed, as kept and shown."""

    reason: FailureReason
    message: str
    chunk_number: int | None = None
