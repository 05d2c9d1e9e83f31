"""A whole worker with each speech service, at our own server and live: stored once, resumed by whoever comes next, deleted there.

What a worker does with a service in trouble is in `test_remote_transcription.py` and its neighbours; it needs one that obeys.
"""

import asyncio

import pytest

from shared.domain.ids import new_id
from shared.domain.tenant import Tenant
from shared.domain.transcription import ProviderName, TranscriptionStatus
from shared.storage.mongo import Mongo
from tests.integration.transcriber.remote_scene import Audio, OneFile, Scene
from tests.speech import word_error_rate

CLOSE = 0.25


@pytest.fixture
async def workers(mongo_settings, tmp_path, service, real_conversation):
    """Makes workers over the same stores; the second goes on when the first is dead."""
    mongo, made = Mongo(mongo_settings), []
    audio = Audio(real_conversation.path.read_bytes(), "audio/wav", "speech.wav", 30_000)
    rules = {"first_pause_s": service.pause_s, "longest_pause_s": service.pause_s + 0.01, "patience_s": service.patience_s}
    store = OneFile(audio.content)

    def worker(**given):
        given = {"audio": audio, "store": store, "deepgram_key": True} | rules | given
        made.append(Scene(mongo, tmp_path, {service.name: service}, **given))
        return made[-1]

    await worker().ready()
    yield worker
    for scene in made:
        await scene.due_now()
        await scene.forget()
        await scene.clouds.close()
    mongo.close()


@pytest.fixture
def provider(service):
    return ProviderName(service.name)


async def killed(*_):
    raise KeyboardInterrupt


async def dies_before_it_stores(worker):
    """Let the worker go on with its transcription until it has the text, and die."""
    worker.transcribe._results.store = killed
    while True:
        claimed = await claimed_by(worker)
        try:
            await worker.transcribe(claimed)
        except KeyboardInterrupt:
            return


async def claimed_by(worker):
    async with asyncio.timeout(worker.patience_s):
        while (claimed := await worker.leases.claim("one that dies", 2.0)) is None:
            await asyncio.sleep(0.01)
    return claimed


async def orders_nothing(*_, **__):
    raise AssertionError("it was ordered a second time")


async def test_a_recording_gets_its_transcript_and_no_copy_stays_at_the_service(workers, provider, real_conversation):
    worker = workers()
    done = await worker.ended(await worker.queued(provider))
    assert (done.status, done.failure) == (TranscriptionStatus.COMPLETED, None)
    assert word_error_rate(real_conversation.text, await worker.text(done)) < CLOSE
    assert (abs(done.duration_ms - 30_000) <= 1000, done.language[:2], done.job.attempts) == (True, "en", 1)
    await worker.forget()
    assert (await worker.order_of(done))["due_at"] is None
    assert worker.files.answers == {}


async def test_whoever_comes_after_a_dead_worker_orders_nothing_and_has_the_same_text(workers, provider, real_conversation):
    first, second = workers(), workers()
    transcription = await first.queued(provider)
    await dies_before_it_stores(first)
    assert (await first.present(transcription)).remote is not None
    second.transcribe._providers[provider].place = orders_nothing
    done = await second.ended(transcription)
    assert done.status is TranscriptionStatus.COMPLETED
    assert word_error_rate(real_conversation.text, await second.text(done)) < CLOSE


async def test_a_projects_own_wrong_key_fails_it_with_a_reason_of_its_own(workers, provider):
    worker, project_id = workers(), new_id("proj")
    await worker.keys.put(Tenant(project_id), provider, "not-a-key-of-anybody")
    failed = await worker.ended(await worker.queued(provider, project_id=project_id))
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, "provider_not_configured")
    assert "not-a-key" not in failed.failure.message


async def test_what_is_no_audio_fails_the_transcription_with_its_reason(workers, provider):
    letter = Audio(b"Dear Sir or Madam, " * 500, "audio/wav", "letter.wav", 30_000)
    worker = workers(audio=letter, store=OneFile(letter.content))
    failed = await worker.ended(await worker.queued(provider))
    assert failed.failure.reason in {"audio_corrupt", "unsupported_format"}
