"""Jobs that last, and jobs that kill: on a real broker, a real MongoDB and real worker processes."""

import asyncio
import contextlib
from collections import Counter

import pytest

from services.transcriber.consumer import handlers
from services.transcriber.job_rules import TranscriptionJobRules
from services.transcriber.store_result import StoreResult
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcript import Transcript
from shared.domain.transcription import TranscriptionRequest, TranscriptionStatus, queued_transcription
from shared.events.transcription import TranscriptionQueued, transcription_event
from shared.messaging.consumer import consume
from shared.messaging.policy import ConsumerPolicy
from shared.platform import Platform
from shared.settings import KafkaSettings
from shared.storage.transcripts import Transcripts
from shared.telemetry.logs import captured_lines
from shared.workers import ProcessPool
from shared.workers.job_runner import JobLimits, JobRunner
from shared.workers.leases import Leases
from tests.integration.workers.worker_jobs import Act, initialize

POLL_INTERVAL_S = 0.5
MANY_INTERVALS = 10
DEADLINE_S = 30.0
SPOKEN = Transcript(text="hello", language="en", duration_ms=500, segments=(), confidence=0.9, word_count=1)


class Scene:
    """A transcriber whose engine does what `acts` says of a transcription, in a worker process; otherwise it is done at once."""

    def __init__(self, mongo_settings, broker, pool):
        kafka = KafkaSettings(
            kafka_servers=(broker,),
            kafka_partitions=2,
            kafka_session_timeout_ms=1_000,
            kafka_fetch_wait_ms=10,
            kafka_poll_interval_ms=round(POLL_INTERVAL_S * 1000),
        )
        self.platform, self.pool = Platform("test", mongo_settings, kafka), pool
        self.transcriptions, self.recordings = self.platform.transcriptions, self.platform.recordings
        leases = Leases(self.transcriptions, self.platform.relay, TranscriptionJobRules())
        self.results = StoreResult(Transcripts(self.platform.mongo), leases, {})
        limits = JobLimits(slots=2, lease_s=1.0, poll_s=0.5)
        self.runner = JobRunner(leases, self.work, name="transcribe", worker="w", limits=limits)
        self.consumer = consume(self.platform.broker, "transcriber", handlers(None, self.runner.wake), ConsumerPolicy())
        self.acts, self.begun, self.works = {}, asyncio.Event(), Counter()

    async def work(self, claimed):
        self.works[claimed.id] += 1
        if (act := self.acts.get(claimed.id)) is not None:
            await self.pool.run(act, on_progress=lambda _: self.begun.set())
        await self.results.store(claimed, SPOKEN)

    async def queued(self, act=None):
        at = now()
        recording = Recording(
            id=new_id("rec"),
            project_id=new_id("proj"),
            mode=Mode.LIVE,
            status=RecordingStatus.UPLOADED,
            created_at=at,
            updated_at=at,
        )
        queued = queued_transcription(new_id("txn"), await self.recordings.add(recording), TranscriptionRequest())
        self.acts[queued.id] = act
        event = transcription_event(TranscriptionQueued, queued)
        await self.transcriptions.start(queued, event)
        self.platform.relay.nudge(self.transcriptions.name, queued.id, [event])
        return queued

    async def ended(self, transcription):
        async with asyncio.timeout(DEADLINE_S):
            while (present := await self.transcriptions.get(transcription.tenant, transcription.id)).active:
                await asyncio.sleep(0.02)
        return present

    @contextlib.asynccontextmanager
    async def running(self):
        await self.platform.start()
        await self.consumer.start()
        async with asyncio.timeout(DEADLINE_S):
            await self.consumer.joined()
        claiming = asyncio.create_task(self.runner.run())
        try:
            yield self
        finally:
            await self.consumer.stop(grace_s=1)
            await self.runner.stop(0)
            claiming.cancel()
            await self.platform.stop()


@pytest.fixture
async def scene(mongo_settings, fresh_broker):
    pool = ProcessPool(initialize, size=1)
    await pool.start()
    try:
        async with Scene(mongo_settings, fresh_broker, pool).running() as scene:
            yield scene
    finally:
        await pool.stop()


async def test_a_job_of_many_poll_intervals_costs_no_rebalance_blocks_nobody_and_runs_once(scene, tmp_path):
    release = tmp_path / "release"
    await scene.ended(await scene.queued())  # the group has formed
    with captured_lines() as lines:
        long = await scene.queued(Act("finish slowly", release))
        await scene.begun.wait()
        until = asyncio.get_running_loop().time() + MANY_INTERVALS * POLL_INTERVAL_S
        while asyncio.get_running_loop().time() < until:
            assert (await scene.ended(await scene.queued())).status is TranscriptionStatus.COMPLETED
            await asyncio.sleep(POLL_INTERVAL_S / 2)  # the pace of other work
        release.touch()
        done = await scene.ended(long)
    assert [line for line in lines if line["event"].startswith("consumer.")] == []  # neither assigned anew nor joined again
    assert (done.status, done.job.token, scene.works[long.id]) == (TranscriptionStatus.COMPLETED, 1, 1)
    assert set(scene.works.values()) == {1}


async def test_a_job_that_kills_its_worker_twice_fails_with_its_reason_and_the_worker_serves_on(scene, tmp_path):
    deadly = await scene.queued(Act("fault"))
    failed = await scene.ended(deadly)
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, "processing_error")
    assert "worker process" in failed.failure.message
    assert scene.works[deadly.id] == 2
    finished = tmp_path / "finished"
    finished.touch()
    assert (await scene.ended(await scene.queued(Act("finish slowly", finished)))).status is TranscriptionStatus.COMPLETED
