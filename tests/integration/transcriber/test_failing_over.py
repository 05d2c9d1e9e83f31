"""A project's fail-over list, whichever provider fails: from the engine here to one on the network, and back; paid for once."""

import asyncio

import pytest

from services.transcriber.failover import FailingOver, FailOver
from services.transcriber.job_rules import TranscriptionJobRules
from services.transcriber.store_result import StoreResult
from shared.domain.config.forms import ProcessingConfig
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.job import Lane
from shared.domain.transcript import Transcript
from shared.domain.transcription import ProviderName, TranscriptionStatus
from shared.workers.failures import WorkerDied, WorkerTimedOut
from shared.workers.job_runner import JobLimits, JobRunner
from shared.workers.leases import Leases
from tests.fakes.speech_providers import status
from tests.integration.transcriber.remote_scene import SAID

WHISPER, ASSEMBLYAI, ELEVENLABS = ProviderName.WHISPER, ProviderName.ASSEMBLYAI, ProviderName.ELEVENLABS
HEARD_HERE = Transcript(text="heard here", language="en", duration_ms=5500, segments=(), confidence=None, word_count=2)


class Here:
    """The runner of what is computed here, beside a worker's own for the network; its engine fails while `faults` are left."""

    def __init__(self, worker, faults):
        self.faults, self.begun = list(faults), 0
        self.leases = Leases(worker.transcriptions, worker.relay, TranscriptionJobRules(), lane=Lane.HERE)
        self.results = StoreResult(worker.transcripts, self.leases, {})
        queue = FailingOver(self.leases, FailOver(worker, self.leases))
        limits = JobLimits(slots=1, poll_s=0.01)
        self.runner = JobRunner(queue, self.work, name="transcribe", worker="here", limits=limits)

    async def work(self, claimed):
        self.begun += 1
        if self.faults:
            raise self.faults.pop(0)
        await self.results.store(claimed, HEARD_HERE)


@pytest.fixture
async def here(workers):
    """Makes a worker with an engine of its own that fails in these ways, and the list of its project."""
    running = []

    def made(*faults, listed=(), **rules):
        worker = workers(**rules)
        worker.config = ProcessingConfig(failover_providers=listed)
        here = Here(worker, faults)
        running.append((here, asyncio.create_task(here.runner.run())))
        return worker, here

    yield made
    for one, task in running:
        await one.runner.stop(0)
        task.cancel()


@pytest.mark.parametrize("fault", [WorkerTimedOut(3600), PermanentFailure(FailureReason.PROCESSING_ERROR, "the model is gone")])
async def test_what_fails_here_is_done_by_the_next_provider(here, providers, fault):
    worker, engine = here(fault, listed=(WHISPER, ASSEMBLYAI))
    done = await worker.ended(await worker.queued(WHISPER))
    assert (done.status, done.provider, done.tried) == (TranscriptionStatus.COMPLETED, ASSEMBLYAI, (WHISPER,))
    assert (await worker.text(done), engine.begun, len(providers["assemblyai"].jobs)) == (SAID, 1, 1)
    assert done.failure is None


async def test_a_job_that_kills_its_worker_twice_is_tried_elsewhere_with_a_clean_slate(here):
    worker, engine = here(WorkerDied("killed"), WorkerDied("killed"), listed=(ELEVENLABS,))
    done = await worker.ended(await worker.queued(WHISPER))
    assert (done.status, done.provider, engine.begun) == (TranscriptionStatus.COMPLETED, ELEVENLABS, 2)
    assert (done.job.attempts, done.job.deaths) == (1, 0)


async def test_the_engine_here_may_be_the_next_one_too(here, providers):
    worker, engine = here(listed=(WHISPER,))
    providers["assemblyai"].troubles = [status(500)] * 50
    done = await worker.ended(await worker.queued(ASSEMBLYAI))
    assert (done.status, done.provider, done.tried) == (TranscriptionStatus.COMPLETED, WHISPER, (ASSEMBLYAI,))
    assert (await worker.text(done), engine.begun) == ("heard here", 1)


async def test_each_is_tried_once_and_the_last_reason_stands(here, providers):
    worker, engine = here(PermanentFailure(FailureReason.PROCESSING_ERROR, "no"), listed=(ASSEMBLYAI, WHISPER, ELEVENLABS))
    for name in ("assemblyai", "elevenlabs"):
        providers[name].troubles = [status(500)] * 50
    failed = await worker.ended(await worker.queued(WHISPER))
    assert (failed.status, failed.tried, failed.provider) == (TranscriptionStatus.FAILED, (WHISPER, ASSEMBLYAI), ELEVENLABS)
    assert (failed.failure.message, engine.begun) == ("elevenlabs failed again and again", 1)


@pytest.mark.parametrize(("language", "told"), [("fi", "fi"), ("cy", None)])
async def test_a_language_that_the_next_one_does_not_take_is_left_to_its_detection(here, providers, language, told):
    worker, _ = here(PermanentFailure(FailureReason.PROCESSING_ERROR, "no"), listed=(ASSEMBLYAI,))
    done = await worker.ended(await worker.queued(WHISPER, language=language))
    assert (done.status, done.provider) == (TranscriptionStatus.COMPLETED, ASSEMBLYAI)
    orders = [asked.json for asked in providers["assemblyai"].asked if asked.path == "/v2/transcript" and asked.json]
    assert [(order.get("language_code"), bool(order.get("language_detection"))) for order in orders] == [(told, told is None)]


async def test_audio_that_is_at_fault_is_tried_nowhere_else(here, providers):
    worker, _ = here(PermanentFailure(FailureReason.AUDIO_CORRUPT, "no sound in it"), listed=(ASSEMBLYAI,))
    failed = await worker.ended(await worker.queued(WHISPER))
    assert (failed.failure.reason, failed.provider, providers["assemblyai"].asked) == ("audio_corrupt", WHISPER, [])


async def test_without_a_list_it_fails_where_it_was_asked_for(here, providers):
    worker, _ = here(PermanentFailure(FailureReason.PROCESSING_ERROR, "no"))
    failed = await worker.ended(await worker.queued(WHISPER))
    assert (failed.failure.message, failed.provider, failed.tried) == ("no", WHISPER, ())
    assert all(provider.asked == [] for provider in providers.values())
