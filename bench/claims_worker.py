"""A worker of `bench.claims`, and the queue it works on. It says `ready`, begins at a line on its input, and ends at the next."""

import asyncio
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import uvloop
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from services.transcriber.concurrency import ProjectLimits
from services.transcriber.job_rules import TranscriptionJobRules
from services.transcriber.store_result import StoreResult
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.project import Project
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcript import Transcript
from shared.domain.transcription import Transcription, TranscriptionRequest, queued_transcription
from shared.domain.transition import VersionConflict
from shared.events.event import Event
from shared.garbage import settle
from shared.messaging.relay import Relay
from shared.settings import MongoSettings
from shared.storage.documents import to_builtins
from shared.storage.effective_configs import EffectiveConfigs
from shared.storage.events import Events
from shared.storage.mongo import Mongo
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.storage.transcripts import Transcripts
from shared.telemetry.logs import configure_logging
from shared.workers.job_runner import JobLimits, JobRunner
from shared.workers.leases import Leases

DATABASE = "bench_claims"
SPOKEN = Transcript(text="hello", language="en", duration_ms=500, segments=(), confidence=0.9, word_count=1)


class Order(msgspec.Struct, frozen=True):
    """What a worker process is to do."""

    url: str
    database: str
    kind: str
    work_ms: float


class Account(msgspec.Struct, frozen=True):
    """What a worker process did: how many jobs, at what cost in CPU from the first to the last, and how many claims failed.

    `lost` looks at the queue found a job that another worker was faster to claim.
    """

    done: int
    cpu_s: float
    lost: int = 0


_began_s = [0.0]


def fill(settings: MongoSettings, jobs: int, projects: int) -> None:
    """Begin a database anew with so many queued transcriptions, spread over the projects."""
    at = now()
    owners = [Project(id=new_id("proj"), organization_id=new_id("org"), name="bench", created_at=at) for _ in range(projects)]
    recordings = [
        Recording(
            id=new_id("rec"),
            project_id=owners[number % projects].id,
            mode=Mode.LIVE,
            status=RecordingStatus.UPLOADED,
            created_at=at,
            updated_at=at,
        )
        for number in range(jobs)
    ]
    queued = [queued_transcription(new_id("txn"), one, TranscriptionRequest()) for one in recordings]
    asyncio.run(_fill(settings, owners, recordings, queued))


async def _fill(
    settings: MongoSettings, owners: Sequence[Project], recordings: Sequence[Recording], queued: Sequence[Transcription]
) -> None:
    mongo = Mongo(settings)
    for name in await mongo.database.list_collection_names():
        await mongo.database.drop_collection(name)
    for collection in (Recordings(mongo), Transcriptions(mongo), Transcripts(mongo), Events(mongo)):
        await collection.ensure_indexes()
    await mongo.database["projects"].insert_many([to_builtins(one) for one in owners])
    for name, documents in (("recordings", recordings), ("transcriptions", queued)):
        await mongo.database[name].insert_many([to_builtins(one) | {"outbox": []} for one in documents])
    mongo.close()


class Contended(Transcriptions):
    """Transcriptions that count how often another worker was faster."""

    conflicts = 0

    async def save(self, before: Transcription, after: Transcription, *events: Event, **unseen: Any) -> Transcription:  # noqa: ANN401 - as it is
        """Save, or count and raise the conflict."""
        try:
            return await super().save(before, after, *events, **unseen)
        except VersionConflict:
            self.conflicts += 1
            raise


class Nowhere:
    """A publisher for events that nobody awaits."""

    async def publish(self, _events: Sequence[Event]) -> None:
        """Let them go."""


async def work(order: Order) -> tuple[int, int]:
    """Work on the queue as a transcriber does; return how many jobs were done, and how many were others' before."""
    mongo, done = Mongo(MongoSettings(mongo_url=order.url, mongo_database=order.database)), 0
    transcriptions, recordings = Contended(mongo), Recordings(mongo)
    relay = Relay((recordings, transcriptions), Events(mongo), Nowhere(), recordings, hurried=False)
    leases = Leases(transcriptions, relay, TranscriptionJobRules(), limit_of=ProjectLimits(EffectiveConfigs(mongo)))
    results = StoreResult(Transcripts(mongo), leases, {})

    async def transcribe(claimed: Transcription) -> None:
        nonlocal done
        await asyncio.sleep(order.work_ms / 1000)
        await results.store(claimed, SPOKEN)
        done += 1

    runner = JobRunner(leases, transcribe, name="transcribe", worker="bench", limits=JobLimits(slots=1))
    await mongo.check()
    settle()
    _say_ready()
    await asyncio.to_thread(sys.stdin.readline)
    running = [asyncio.create_task(runner.run()), asyncio.create_task(relay.run())]
    await asyncio.to_thread(sys.stdin.readline)
    await runner.stop(1.0)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    mongo.close()
    return done, transcriptions.conflicts


def loop(order: Order) -> int:
    """Do the same with two statements a job, on one document each; return how many jobs were done."""
    client: MongoClient[dict[str, Any]] = MongoClient(order.url)
    jobs = client[order.database].get_collection("transcriptions", write_concern=WriteConcern(w="majority", j=True))
    due = {"job.lane": "here", "job.available_at": {"$type": "date"}, "job.status": "queued"}
    claim = {"$set": {"job.status": "running", "job.token": 1}, "$unset": {"job.available_at": 1}}
    end = {"$set": {"job.status": "completed", "active": False}}
    jobs.find_one()
    _say_ready()
    sys.stdin.readline()
    done, stopped = 0, threading.Event()

    def await_end() -> None:
        sys.stdin.readline()
        stopped.set()

    threading.Thread(target=await_end, daemon=True).start()
    while not stopped.is_set():
        claimed = jobs.find_one_and_update(due, claim)
        if claimed is None:
            time.sleep(0.01)
            continue
        time.sleep(order.work_ms / 1000)
        jobs.update_one({"_id": claimed["_id"]}, end)
        done += 1
    client.close()
    return done


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    _began_s[0] = time.process_time()


def main() -> None:
    """Do what the command line says."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    configure_logging("bench", "INFO", sys.stderr.buffer)
    lost = 0
    if order.kind == "bare":
        done = loop(order)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as services run
            done, lost = runner.run(work(order))
    sys.stdout.write(msgspec.json.encode(Account(done, time.process_time() - _began_s[0], lost)).decode())


if __name__ == "__main__":
    main()
