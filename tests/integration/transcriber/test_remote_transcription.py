"""Transcriptions by providers on the network: placed once, resumed by whoever comes next, never paid for twice."""

import asyncio
from datetime import timedelta

import pytest

from services.transcriber.cloud_settings import CloudSettings
from services.transcriber.failover import FailOver
from services.transcriber.job_rules import TranscriptionJobRules
from services.transcriber.keyring import Keyring
from services.transcriber.providers.cloud.factory import clouds
from services.transcriber.store_result import StoreResult
from services.transcriber.transcribe_remotely import RemoteRules, TranscribeRemotely
from shared.domain.clock import now
from shared.domain.config.forms import ProcessingConfig
from shared.domain.ids import new_id
from shared.domain.job import Lane
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcription import ProviderName, TranscriptionRequest, TranscriptionStatus, queued_transcription
from shared.messaging.relay import Relay
from shared.storage.events import Events
from shared.storage.mongo import Mongo
from shared.storage.provider_keys import ProviderKeys
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.storage.transcripts import Transcripts
from shared.workers.job_runner import JobLimits, JobRunner
from shared.workers.lease_queue import LeaseLost
from shared.workers.leases import Leases
from tests.fakes.sealing import a_sealing
from tests.fakes.speech_providers import KEY, FakeAssemblyAI, FakeDeepgram, FakeElevenLabs, status

AUDIO = b"OggS" + bytes(1000)
SAID = "Hello, who speaks? Good morning."


class Silent:
    async def publish(self, events):
        pass


class OneFile:
    """The object store, holding one file; it counts its readers."""

    def __init__(self):
        self.downloads = 0

    async def download(self, _key, path, *, etag=None):
        self.downloads += 1
        path.write_bytes(AUDIO)

    def presigned_get(self, key, _expires_s, *, filename=None):
        return f"https://store.example/{key}?response-content-disposition={filename}"


class Scene:
    """A worker with its stores; `another` is a second one on the same stores, as after a crash."""

    def __init__(self, mongo, spool, servers, **rules):
        self.mongo, self.spool, self.servers = mongo, spool, servers
        self.recordings, self.transcriptions, self.transcripts = Recordings(mongo), Transcriptions(mongo), Transcripts(mongo)
        self.relay = Relay((self.recordings, self.transcriptions), Events(mongo), Silent(), self.recordings)
        self.leases = Leases(self.transcriptions, self.relay, TranscriptionJobRules(), lane=Lane.ELSEWHERE)
        self.keys, self.files = ProviderKeys(mongo, a_sealing()), OneFile()
        urls = {f"{name}_url": server.url for name, server in servers.items()}
        self.settings = CloudSettings(assemblyai_api_key=KEY, elevenlabs_api_key=KEY, **urls)
        self.clouds, self.config = clouds(self.settings), ProcessingConfig()
        results = StoreResult(self.transcripts, self.leases, {})
        defaults = {"first_pause_s": 0.0, "longest_pause_s": 0.01, "most_failures": 4}
        self.transcribe = TranscribeRemotely(
            recordings=self.recordings,
            store=self.files,
            results=results,
            claims=self.leases,
            queue=self.leases,
            failover=FailOver(self, self.leases, self.leases),
            providers=self.clouds.providers,
            keys=Keyring(self.keys, self.settings.keys()),
            spool=spool,
            rules=RemoteRules(**(defaults | rules)),
        )

    async def queued(self, provider, *, project_id=None):
        at = now()
        media = Media(
            id=new_id("med"),
            type=MediaType.AUDIO,
            content_type="audio/ogg",
            object_key="k.ogg",
            status=MediaStatus.UPLOADED,
            file_size_bytes=len(AUDIO),
            created_at=at,
        )
        recording = await self.recordings.add(
            Recording(
                id=new_id("rec"),
                project_id=project_id or new_id("proj"),
                mode=Mode.LIVE,
                status=RecordingStatus.UPLOADED,
                media=(media,),
                duration_ms=5500,
                created_at=at,
                updated_at=at,
            )
        )
        queued = queued_transcription(new_id("txn"), recording, TranscriptionRequest(provider=provider))
        return await self.transcriptions.add(queued)

    async def processing(self, _tenant):
        return self.config

    async def step(self):
        """Claim the job and do one step of it."""
        claimed = None
        async with asyncio.timeout(10):
            while claimed is None:
                claimed = await self.leases.claim("worker", 30)
        await self.transcribe(claimed)
        return await self.present(claimed)

    async def present(self, transcription):
        return await self.transcriptions.get(transcription.tenant, transcription.id)

    async def ended(self, transcription):
        """Run a worker until the transcription has ended."""
        runner = JobRunner(self.leases, self.transcribe, name="transcribe", worker="w", limits=JobLimits(slots=1, poll_s=0.01))
        running = asyncio.create_task(runner.run())
        try:
            async with asyncio.timeout(20):
                while (present := await self.present(transcription)).active:
                    await asyncio.sleep(0.01)
        finally:
            await runner.stop(1)
            running.cancel()
        return present

    async def text(self, transcription):
        return (await self.transcripts.get(transcription.tenant, transcription.id)).text


@pytest.fixture
async def servers():
    async with (
        FakeDeepgram().running() as deepgram,
        FakeAssemblyAI().running() as assemblyai,
        FakeElevenLabs().running() as eleven,
    ):
        yield {"deepgram": deepgram, "assemblyai": assemblyai, "elevenlabs": eleven}


@pytest.fixture
async def workers(mongo_settings, tmp_path, servers):
    mongo, made = Mongo(mongo_settings), []

    def worker(**rules):
        made.append(Scene(mongo, tmp_path, servers, **rules))
        return made[-1]

    first = worker()
    for collection in (first.recordings, first.transcriptions, first.keys):
        await collection.ensure_indexes()
    yield worker
    for scene in made:
        await scene.clouds.close()
    mongo.close()


@pytest.mark.parametrize("provider", [ProviderName.ASSEMBLYAI, ProviderName.ELEVENLABS])
async def test_a_transcription_is_completed_with_the_installations_key(workers, provider):
    worker = workers()
    transcription = await worker.queued(provider)
    done = await worker.ended(transcription)
    assert (done.status, done.duration_ms, done.word_count) == (TranscriptionStatus.COMPLETED, 5500, 5)
    assert await worker.text(done) == SAID


async def test_a_projects_own_key_goes_first_and_without_any_the_transcription_fails_with_its_reason(workers):
    worker = workers()
    failed = await worker.ended(await worker.queued(ProviderName.DEEPGRAM))
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, "provider_not_configured")
    project_id = new_id("proj")
    await worker.keys.put(Tenant(project_id), ProviderName.DEEPGRAM, KEY)
    done = await worker.ended(await worker.queued(ProviderName.DEEPGRAM, project_id=project_id))
    assert done.status is TranscriptionStatus.COMPLETED
    await worker.keys.put(Tenant(project_id), ProviderName.ASSEMBLYAI, "not the installation's")
    refused = await worker.ended(await worker.queued(ProviderName.ASSEMBLYAI, project_id=project_id))
    assert refused.failure.reason == "provider_not_configured"


async def test_the_providers_job_is_kept_before_it_is_waited_on_and_another_worker_resumes_it(workers, servers):
    first, second = workers(), workers()
    await first.queued(ProviderName.ASSEMBLYAI)
    uploaded = await first.step()
    assert uploaded.remote.job_id.startswith("upload:")
    ordered = await second.step()
    assert ordered.remote.job_id in servers["assemblyai"].jobs
    done = await first.ended(ordered)
    assert done.status is TranscriptionStatus.COMPLETED
    assert (first.files.downloads, second.files.downloads) == (1, 0)
    assert len(servers["assemblyai"].jobs) == 1


async def test_an_order_whose_worker_died_before_it_could_note_the_answer_is_found_again(workers, servers):
    worker = workers(fetch_s=600)
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    claimed = await worker.leases.claim("one that dies", 0.05)
    keep, worker.transcribe._keep = worker.transcribe._keep, None
    kept = 0

    async def dies_at_the_second(transcription, remote):
        nonlocal kept
        kept += 1
        if kept == 2:
            raise KeyboardInterrupt
        await keep(transcription, remote)

    worker.transcribe._keep = dies_at_the_second
    with pytest.raises(KeyboardInterrupt):
        await worker.transcribe(claimed)
    worker.transcribe._keep = keep
    assert len(servers["assemblyai"].jobs) == 1
    assert (await worker.present(transcription)).remote.job_id is None
    done = await worker.ended(transcription)
    assert await worker.text(done) == SAID
    assert len(servers["assemblyai"].jobs) == 1


async def test_a_provider_in_trouble_is_asked_again_and_nothing_is_ordered_twice(workers, servers):
    worker = workers()
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    servers["assemblyai"].troubles = [status(503), status(429, Retry_After="0")]
    done = await worker.ended(transcription)
    assert done.status is TranscriptionStatus.COMPLETED
    assert len(servers["assemblyai"].jobs) == 1
    assert done.job.attempts <= 1


async def test_what_the_provider_asks_for_in_retry_after_is_waited(workers, servers):
    worker = workers()
    await worker.queued(ProviderName.ELEVENLABS)
    servers["elevenlabs"].troubles = [status(429, Retry_After="30")]
    waiting = await worker.step()
    assert waiting.job.available_at > now() + timedelta(seconds=25)


async def test_a_provider_that_fails_again_and_again_is_given_up(workers, servers):
    worker = workers()
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    servers["assemblyai"].troubles = [status(500)] * 50
    failed = await worker.ended(transcription)
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, "processing_error")
    assert len(servers["assemblyai"].asked) == 4


@pytest.mark.parametrize("code", [500, 401])
async def test_with_a_fail_over_list_the_next_provider_does_it(workers, servers, code):
    worker = workers()
    listed = (ProviderName.ASSEMBLYAI, ProviderName.DEEPGRAM, ProviderName.ELEVENLABS)
    worker.config = ProcessingConfig(failover_providers=listed)
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    servers["assemblyai"].troubles = [status(code)] * 50
    done = await worker.ended(transcription)
    assert (done.status, done.provider) == (TranscriptionStatus.COMPLETED, ProviderName.ELEVENLABS)
    assert done.tried == (ProviderName.ASSEMBLYAI, ProviderName.DEEPGRAM)
    assert servers["deepgram"].asked == []  # there is no key for it


async def test_audio_that_is_at_fault_is_not_tried_elsewhere(workers, servers):
    worker = workers()
    worker.config = ProcessingConfig(failover_providers=(ProviderName.ELEVENLABS,))
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    servers["assemblyai"].fault = "Audio duration is too short."
    failed = await worker.ended(transcription)
    assert failed.failure.reason == "audio_too_short"
    assert servers["elevenlabs"].asked == []


async def test_an_order_that_never_ends_is_given_up_after_the_time_limit(workers, servers):
    worker = workers(time_limit_s=0.0)
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    failed = await worker.ended(transcription)
    assert failed.failure.reason == "processing_error"


async def test_a_worker_whose_claim_was_taken_over_writes_nothing(workers):
    worker = workers()
    await worker.queued(ProviderName.ELEVENLABS)
    stale = await worker.leases.claim("slow", 0.01)
    taken = None
    async with asyncio.timeout(5):
        while taken is None:
            taken = await worker.leases.claim("quick", 30)
    with pytest.raises(LeaseLost):
        await worker.transcribe(stale)
    await worker.transcribe(taken)
    assert (await worker.present(taken)).status is TranscriptionStatus.COMPLETED
