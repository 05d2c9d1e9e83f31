"""Workers are not capped by partitions: with one partition on a real broker, every slot of every worker is at work at once."""

import asyncio
import contextlib

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from shared.domain.ids import new_id
from shared.domain.transcription import TranscriptionStatus
from shared.events.transcription import TranscriptionQueued
from shared.settings import KafkaSettings
from shared.workers.job_runner import JobLimits
from tests.integration.transcriber.replica import DEADLINE_S, SPOKEN, Replica

WORKERS, SLOTS = 4, 2
AT_ONCE = WORKERS * SLOTS


class Worker(Replica):
    """A replica whose engine waits for `release`; it notes what it works on."""

    def __init__(self, number, mongo_settings, kafka, release):
        super().__init__(f"worker-{number}", mongo_settings, kafka, JobLimits(slots=SLOTS, poll_s=0.1))
        self.release = release
        self.at_work, self.done = set(), set()

    async def work(self, claimed):
        self.at_work.add(claimed.id)
        await self.release.wait()
        await self.results.store(claimed, SPOKEN)
        self.at_work.discard(claimed.id)
        self.done.add(claimed.id)


@pytest.fixture
async def workers(mongo_settings, fresh_broker):
    kafka = KafkaSettings(kafka_servers=(fresh_broker,), kafka_partitions=1, kafka_fetch_wait_ms=10)
    release = asyncio.Event()
    async with contextlib.AsyncExitStack() as running:
        made = [Worker(number, mongo_settings, kafka, release) for number in range(WORKERS)]
        yield [await running.enter_async_context(worker.running()) for worker in made]
        release.set()


async def until(holds):
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.02)


async def partitions(broker, topic):
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        return [len(described["partitions"]) for described in await admin.describe_topics([topic])]
    finally:
        await admin.close()


async def test_all_workers_are_busy_at_once_though_every_job_is_in_one_partition(workers, fresh_broker):
    project_id = new_id("proj")
    jobs = [await workers[0].queue(await workers[0].made(project_id)) for _ in range(AT_ONCE + 1)]
    await until(lambda: sum(len(worker.at_work) for worker in workers) == AT_ONCE)
    assert await partitions(fresh_broker, TranscriptionQueued.__struct_config__.tag) == [1]
    assert [len(worker.at_work) for worker in workers] == [SLOTS] * WORKERS
    at_work = [transcription_id for worker in workers for transcription_id in worker.at_work]
    assert len(set(at_work)) == AT_ONCE
    workers[0].release.set()
    await until(lambda: sum(len(worker.done) for worker in workers) == len(jobs))
    ended = [await workers[0].transcriptions.get(job.tenant, job.id) for job in jobs]
    assert {(one.status, one.job.token) for one in ended} == {(TranscriptionStatus.COMPLETED, 1)}
