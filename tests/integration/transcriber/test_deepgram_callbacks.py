"""Deepgram's answers to a callback: over the real API, MongoDB and object store, with workers that die at every point."""

import asyncio
import json
from datetime import timedelta

import pytest

from shared.domain.clock import now
from shared.domain.config.forms import ProcessingConfig
from shared.domain.transcription import ProviderName, TranscriptionStatus
from shared.storage.mongo import Mongo
from shared.storage.objects import ObjectStore
from tests.fakes.speech_providers import FakeAssemblyAI, FakeDeepgram, FakeElevenLabs, cut_off, status
from tests.integration.ingest.conftest import Servers
from tests.integration.transcriber.remote_scene import AUDIO, SAID, Scene

DEEPGRAM = ProviderName.DEEPGRAM


@pytest.fixture
async def deepgram():
    async with FakeDeepgram().running() as server:
        yield server


@pytest.fixture
async def api(mongo_settings, bucket_settings, kafka_settings):
    async with Servers(mongo_settings, kafka_settings, bucket_settings).replica(max_answer_bytes=100_000) as client:
        yield client


@pytest.fixture
async def workers(mongo_settings, bucket_settings, tmp_path, deepgram, api):
    mongo, store, made = Mongo(mongo_settings), ObjectStore(bucket_settings), []
    await store.start()
    await store.ensure_bucket()
    await store.put(AUDIO.key, AUDIO.content, len(AUDIO.content), AUDIO.content_type)
    async with FakeAssemblyAI().running() as assemblyai, FakeElevenLabs().running() as eleven:
        servers = {"deepgram": deepgram, "assemblyai": assemblyai, "elevenlabs": eleven}

        def worker(**rules):
            made.append(Scene(mongo, tmp_path, servers, store=store, callback_url=api.url, **rules))
            return made[-1]

        await worker().ready()
        yield worker
        for scene in made:
            await scene.clouds.close()
    await store.stop()
    mongo.close()


async def answers_in_the_bucket(worker, transcription):
    return await worker.files.list(f"{transcription.project_id}/{transcription.recording_id}/answers/")


async def test_an_order_lets_go_of_its_worker_and_is_done_when_the_answer_has_come(workers, deepgram):
    worker = workers()
    transcription = await worker.queued(DEEPGRAM)
    waiting = await worker.step()
    assert (waiting.status, waiting.job.worker) == (TranscriptionStatus.PROCESSING, None)
    assert waiting.job.available_at > now() + timedelta(minutes=20)
    assert waiting.remote.job_id == "0b8e7a3c-1d2f-4e5a-9b6c-000000000001"
    assert await worker.leases.claim("w", 30) is None
    assert await deepgram.called_back() == 200
    done = await worker.ended(transcription)
    assert (done.status, done.duration_ms, done.word_count) == (TranscriptionStatus.COMPLETED, 5500, 5)
    assert await worker.text(done) == SAID
    assert len(deepgram.asked) == 1


async def test_the_token_is_kept_as_its_hash_only(workers, deepgram):
    worker = workers()
    transcription = await worker.queued(DEEPGRAM)
    await worker.step()
    token = deepgram.orders[0]["callback"].rpartition("/")[2]
    assert len(token) >= 40
    database = worker.mongo.database
    for name in await database.list_collection_names():
        assert token not in str(await database[name].find({}).to_list(None)), name
    assert (await worker.order_of(transcription))["tokens"]


async def test_what_came_goes_from_the_bucket_once_the_transcript_is_stored(workers, deepgram):
    worker = workers()
    transcription = await worker.queued(DEEPGRAM)
    await worker.step()
    await deepgram.called_back()
    assert len(await answers_in_the_bucket(worker, transcription)) == 1
    await worker.ended(transcription)
    await worker.forget()
    assert await answers_in_the_bucket(worker, transcription) == []
    assert await deepgram.called_back() == 200  # late and again
    assert await answers_in_the_bucket(worker, transcription) == []


async def test_an_answer_that_comes_before_the_orders_id_is_stored_counts(workers, deepgram):
    worker = workers()
    transcription = await worker.queued(DEEPGRAM)

    async def before_accepting():
        assert await deepgram.called_back() == 200

    deepgram.before_accepting = before_accepting
    placed = await worker.step()
    assert placed.remote.job_id is not None
    assert placed.job.available_at <= now()
    assert await worker.text(await worker.ended(transcription)) == SAID
    assert len(deepgram.orders) == 1


@pytest.mark.parametrize("comes", ["before the next worker", "after it"])
async def test_a_worker_killed_between_the_order_and_its_id_costs_no_second_order(workers, deepgram, comes):
    first, second = workers(), workers()
    transcription = await first.queued(DEEPGRAM)

    async def killed():
        raise KeyboardInterrupt

    claimed = await first.leases.claim("one that dies", 0.05)
    first.transcribe._taken = lambda *_: killed()
    with pytest.raises(KeyboardInterrupt):
        await first.transcribe(claimed)
    assert (await first.present(transcription)).remote.job_id is None
    if comes == "before the next worker":
        assert await deepgram.called_back() == 200
    else:
        waiting = await second.step()
        assert waiting.job.available_at > now() + timedelta(minutes=20)
        assert await deepgram.called_back() == 200
    done = await second.ended(transcription)
    assert await second.text(done) == SAID
    assert len(deepgram.orders) == 1


async def test_an_order_that_was_lost_with_its_worker_is_placed_again_when_no_answer_comes(workers, deepgram):
    worker = workers(callback_limit_s=0.2)
    transcription = await worker.queued(DEEPGRAM)
    deepgram.troubles = [cut_off]  # its answer; nobody knows whether it was taken
    await worker.step()
    assert (await worker.present(transcription)).remote.asked_at is not None
    again = await worker.step()
    assert (len(deepgram.asked), again.remote.job_id is None) == (2, False)
    tokens = (await worker.order_of(transcription))["tokens"]
    assert len(tokens) == len(set(tokens)) == 2
    await deepgram.called_back()
    assert await worker.text(await worker.ended(transcription)) == SAID


@pytest.mark.parametrize("trouble", [status(503), status(429, Retry_After="0"), status(500)])
async def test_an_order_that_was_refused_for_the_moment_is_placed_again_soon(workers, deepgram, trouble):
    worker = workers()
    transcription = await worker.queued(DEEPGRAM)
    deepgram.troubles = [trouble]
    refused = await worker.step()
    assert refused.job.available_at < now() + timedelta(seconds=5)
    await worker.step()
    await deepgram.called_back()
    assert await worker.text(await worker.ended(transcription)) == SAID


async def test_without_an_answer_in_time_it_fails_or_the_next_provider_does_it(workers, deepgram):
    worker = workers(callback_limit_s=0.05)
    failed = await worker.ended(await worker.queued(DEEPGRAM))
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, "processing_error")
    assert len(deepgram.orders) == 1  # not ordered, nor paid for, again
    worker.config = ProcessingConfig(failover_providers=(ProviderName.ASSEMBLYAI,))
    done = await worker.ended(await worker.queued(DEEPGRAM))
    assert (done.status, done.provider) == (TranscriptionStatus.COMPLETED, ProviderName.ASSEMBLYAI)
    assert await deepgram.called_back(1) == 200  # late: nobody waits for it any more
    assert await answers_in_the_bucket(worker, done) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"err_code": "Bad Request", "err_msg": "failed to process audio: corrupt or unsupported data"}, "audio_corrupt"),
        ({"category": "INVALID", "message": "The audio is too short.", "details": "no frames"}, "audio_too_short"),
        ({"results": []}, "processing_error"),
        ({}, "processing_error"),
    ],
)
async def test_an_error_in_place_of_an_answer_ends_it_with_its_reason(workers, deepgram, body, reason):
    worker = workers()
    transcription = await worker.queued(DEEPGRAM)
    await worker.step()
    assert await deepgram.called_back(body=json.dumps(body).encode()) == 200
    failed = await worker.ended(transcription)
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, reason)


async def test_what_cannot_be_an_answer_is_refused_and_the_order_goes_on_waiting(workers, deepgram):
    worker = workers()
    transcription = await worker.queued(DEEPGRAM)
    await worker.step()
    statuses = [await deepgram.called_back(body=body) for body in (b"{", b" " * 100_001)]
    deepgram.orders.append({"callback": deepgram.orders[0]["callback"][:-1] + "!"})
    assert [*statuses, await deepgram.called_back(1)] == [400, 413, 404]
    assert (await worker.present(transcription)).remote.answered_at is None
    assert await answers_in_the_bucket(worker, transcription) == []
    assert [await deepgram.called_back(), await deepgram.called_back()] == [200, 200]
    assert await worker.text(await worker.ended(transcription)) == SAID


async def test_many_answers_at_once_are_each_taken_once(workers, deepgram):
    worker = workers()
    transcriptions = [await worker.queued(DEEPGRAM) for _ in range(6)]
    for _ in transcriptions:
        await worker.step()
    statuses = await asyncio.gather(*(deepgram.called_back(number) for number in [*range(6), *range(6)]))
    assert statuses == [200] * 12
    for _ in transcriptions:
        assert (await worker.step()).status is TranscriptionStatus.COMPLETED
    assert [await worker.text(transcription) for transcription in transcriptions] == [SAID] * 6
    assert len(deepgram.orders) == 6


async def test_an_answer_that_is_lost_from_the_bucket_fails_it_instead_of_ordering_again(workers, deepgram):
    worker = workers()
    transcription = await worker.queued(DEEPGRAM)
    await worker.step()
    await deepgram.called_back()
    await worker.files.delete([found.key for found in await answers_in_the_bucket(worker, transcription)])
    failed = await worker.ended(transcription)
    assert failed.status is TranscriptionStatus.FAILED
    assert len(deepgram.orders) == 1


async def test_what_is_left_of_a_failed_providers_order_is_forgotten_without_the_next_ones_answer(workers, deepgram):
    worker = workers()
    worker.config = ProcessingConfig(failover_providers=(ProviderName.DEEPGRAM,))
    worker.servers["elevenlabs"].troubles = [cut_off]  # it may have taken the order: its answer is lost
    transcription = await worker.queued(ProviderName.ELEVENLABS)
    while (await worker.step()).provider is not ProviderName.DEEPGRAM:
        pass
    assert (await worker.step()).remote.job_id is not None
    assert await deepgram.called_back() == 200
    await worker.due_now()
    await worker.forget()
    done = await worker.ended(transcription)
    assert (done.status, done.failure) == (TranscriptionStatus.COMPLETED, None)
    assert await worker.text(done) == SAID
