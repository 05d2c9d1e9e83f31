"""Jobs that last, and jobs that kill: on a real broker, a real MongoDB and real worker processes."""

import asyncio
from collections import Counter

import pytest

from shared.domain.transcription import TranscriptionStatus
from shared.settings import KafkaSettings
from shared.telemetry.logs import captured_lines
from shared.workers import ProcessPool
from shared.workers.job_runner import JobLimits
from tests.integration.transcriber.replica import DEADLINE_S, SPOKEN, Replica
from tests.integration.workers.worker_jobs import Act, initialize

POLL_INTERVAL_S = 1.5  # a busy machine lets a loop wait, too
MANY_INTERVALS = 4


class Scene(Replica):
    """A replica whose engine does what `acts` says of a transcription, in a worker process; otherwise it is done at once."""

    def __init__(self, mongo_settings, broker, pool):
        kafka = KafkaSettings(
            kafka_servers=(broker,),
            kafka_partitions=2,
            kafka_session_timeout_ms=2_000,
            kafka_fetch_wait_ms=10,
            kafka_poll_interval_ms=round(POLL_INTERVAL_S * 1000),
        )
        super().__init__("test", mongo_settings, kafka, JobLimits(slots=2, lease_s=3.0, poll_s=0.5))
        self.pool = pool
        self.acts, self.begun, self.works = {}, asyncio.Event(), Counter()

    async def work(self, claimed):
        self.works[claimed.id] += 1
        if (act := self.acts.get(claimed.id)) is not None:
            await self.pool.run(act, on_progress=lambda _: self.begun.set())
        await self.results.store(claimed, SPOKEN)

    async def queued(self, act=None):
        transcription = await self.made()
        self.acts[transcription.id] = act
        return await self.queue(transcription)

    async def ended(self, transcription):
        async with asyncio.timeout(DEADLINE_S):
            while (present := await self.transcriptions.get(transcription.tenant, transcription.id)).active:
                await asyncio.sleep(0.02)
        return present


@pytest.fixture
async def scene(mongo_settings, fresh_broker):
    pool = ProcessPool(initialize, size=1)
    await pool.start()
    try:
        async with Scene(mongo_settings, fresh_broker, pool).running() as scene:
            async with asyncio.timeout(DEADLINE_S):
                await scene.consumer.joined()
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
