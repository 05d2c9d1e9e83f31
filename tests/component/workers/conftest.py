"""Leases in memory and runners over them."""

import asyncio

import pytest

from services.stitcher.job_rules import RecordingJobRules
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.job import Job, JobKind, JobStatus
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.workers.job_runner import JobLimits, JobRunner
from shared.workers.leases import Leases
from tests.fakes.aggregates import FakeAggregates


class Silence:
    def nudge(self, outbox, aggregate_id, events):
        """Publish nothing."""


class Scene:
    def __init__(self):
        self.store = FakeAggregates()
        self.relay = Silence()
        self.leases = Leases(self.store, self.relay, RecordingJobRules())
        self.worked = []
        self.runners = []

    async def queue(self, project="p", **about):
        at = now()
        job = Job(id=new_id("job"), kind=JobKind.STITCH, queued_at=at, available_at=at, **about)
        recording = Recording(
            id=new_id("rec"),
            project_id=project,
            mode=Mode.LIVE,
            status=RecordingStatus.UPLOADED,
            job=job,
            created_at=at,
            updated_at=at,
        )
        return await self.store.add(recording)

    async def complete(self, claimed):
        self.worked.append(claimed.id)
        await self.leases.finish(claimed, lambda present: (present.changed(job=present.job.ended(JobStatus.COMPLETED)), ()))

    def run(self, work, worker="w1", *, afterwards=None, **limits):
        limits = {"slots": 2, "lease_s": 0.4, "poll_s": 0.05} | limits
        after = {} if afterwards is None else {"afterwards": afterwards}
        runner = JobRunner(self.leases, work, name="stitch", worker=worker, limits=JobLimits(**limits), **after)
        self.runners.append((runner, asyncio.create_task(runner.run())))
        return runner

    def job(self, recording):
        return self.store.documents[recording.id].job

    async def until(self, fact, within_s=20.0):
        async with asyncio.timeout(within_s):
            while not fact():
                await asyncio.sleep(0.005)


@pytest.fixture
async def scene():
    scene = Scene()
    yield scene
    for runner, task in scene.runners:
        await runner.stop(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
