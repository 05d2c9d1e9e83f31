"""Transcriptions by providers on the network: placed once, resumed by whoever comes next, never paid for twice."""

import asyncio
from datetime import timedelta

import pytest

from shared.domain.clock import now
from shared.domain.config.forms import ProcessingConfig
from shared.domain.ids import new_id
from shared.domain.job import JobStatus
from shared.domain.tenant import Tenant
from shared.domain.transcription import ProviderName, SpeechOptions, TranscriptionStatus
from shared.workers.lease_queue import LeaseLost
from tests.fakes.speech_providers import KEY, cut_off, malformed, not_json, silent, status
from tests.integration.transcriber.remote_scene import SAID


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


async def test_the_providers_job_is_kept_before_it_is_waited_on_and_another_worker_resumes_it(workers, providers):
    first, second = workers(), workers()
    await first.queued(ProviderName.ASSEMBLYAI)
    uploaded = await first.step()
    assert uploaded.remote.job_id.startswith("upload:")
    ordered = await second.step()
    assert ordered.remote.job_id in providers["assemblyai"].jobs
    done = await first.ended(ordered)
    assert done.status is TranscriptionStatus.COMPLETED
    assert (first.files.downloads, second.files.downloads) == (1, 0)
    assert len(providers["assemblyai"].jobs) == 1


async def test_while_a_provider_works_the_transcription_says_that_it_is_ordered_and_no_more(workers):
    worker = workers()
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    for _ in range(3):
        progress = (await worker.step()).progress
        assert (progress.percent, progress.stage, progress.estimated_completion_at) == (0, "ordered", None)
    claimed = None
    async with asyncio.timeout(60):
        while claimed is None:
            claimed = await worker.leases.claim("one that looks", 0.01)
    assert claimed.progress.stage == "ordered"
    assert (await worker.ended(transcription)).status is TranscriptionStatus.COMPLETED


async def test_an_order_whose_worker_died_before_it_could_note_the_answer_is_found_again(workers, providers):
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
        return await keep(transcription, remote)

    worker.transcribe._keep = dies_at_the_second
    with pytest.raises(KeyboardInterrupt):
        await worker.transcribe(claimed)
    worker.transcribe._keep = keep
    assert len(providers["assemblyai"].jobs) == 1
    assert (await worker.present(transcription)).remote.job_id is None
    done = await worker.ended(transcription)
    assert await worker.text(done) == SAID
    assert len(providers["assemblyai"].jobs) == 1


async def test_a_provider_in_trouble_is_asked_again_and_nothing_is_ordered_twice(workers, providers):
    worker = workers()
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    providers["assemblyai"].troubles = [status(503), status(429, Retry_After="0")]
    done = await worker.ended(transcription)
    assert done.status is TranscriptionStatus.COMPLETED
    assert len(providers["assemblyai"].jobs) == 1
    assert done.job.attempts <= 1


@pytest.mark.parametrize("trouble", [cut_off, malformed, not_json, status(429, Retry_After="0"), status(500), status(502)])
async def test_trouble_while_the_provider_works_costs_a_look_and_no_order(workers, providers, trouble):
    worker = workers()
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    await worker.step()
    assert (await worker.step()).remote.job_id in providers["assemblyai"].jobs
    for _ in range(2):  # each is followed by a look that is answered
        providers["assemblyai"].troubles = [trouble]
        assert (await worker.step()).remote.failures == 1
        assert (await worker.step()).remote.failures == 0
    providers["assemblyai"].troubles = [trouble]
    done = await worker.ended(transcription)
    assert (done.status, await worker.text(done)) == (TranscriptionStatus.COMPLETED, SAID)
    assert [asked.path for asked in providers["assemblyai"].asked if asked.method == "POST"] == ["/v2/upload", "/v2/transcript"]


async def test_what_the_provider_asks_for_in_retry_after_is_waited(workers, providers):
    worker = workers()
    await worker.queued(ProviderName.ELEVENLABS)
    providers["elevenlabs"].troubles = [status(429, Retry_After="30")]
    waiting = await worker.step()
    assert waiting.job.available_at > now() + timedelta(seconds=25)


async def test_a_provider_that_fails_again_and_again_is_given_up(workers, providers):
    worker = workers()
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    providers["assemblyai"].troubles = [status(500)] * 50
    failed = await worker.ended(transcription)
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, "processing_error")
    assert len(providers["assemblyai"].asked) == 4


@pytest.mark.parametrize("code", [500, 401])
async def test_with_a_fail_over_list_the_next_provider_does_it(workers, providers, code):
    worker = workers()
    listed = (ProviderName.ASSEMBLYAI, ProviderName.DEEPGRAM, ProviderName.ELEVENLABS)
    worker.config = ProcessingConfig(failover_providers=listed)
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    providers["assemblyai"].troubles = [status(code)] * 50
    done = await worker.ended(transcription)
    assert (done.status, done.provider) == (TranscriptionStatus.COMPLETED, ProviderName.ELEVENLABS)
    assert done.tried == (ProviderName.ASSEMBLYAI, ProviderName.DEEPGRAM)
    assert providers["deepgram"].asked == []  # there is no key for it


@pytest.mark.parametrize(("channels", "apart"), [(None, True), (1, False), (2, True), (5, True), (6, False), (9, False)])
async def test_who_speaks_is_told_by_voice_where_there_are_no_channels_to_tell_it_by(workers, providers, channels, apart):
    worker = workers()
    await worker.queued(ProviderName.ELEVENLABS, channels=channels, options=SpeechOptions(multichannel=True))
    await worker.step()
    form = providers["elevenlabs"].asked[0].form
    assert ("use_multi_channel" in form, form["diarize"]) == (apart, str(not apart).lower())


@pytest.mark.parametrize(("channels", "apart"), [(None, True), (1, False), (2, True), (8, True), (9, False)])
async def test_a_provider_that_takes_any_number_of_channels_is_given_eight(workers, providers, channels, apart):
    worker = workers(deepgram_key=True)
    await worker.queued(ProviderName.DEEPGRAM, channels=channels, options=SpeechOptions(multichannel=True))
    await worker.step()
    asked = providers["deepgram"].asked[0].query
    assert ("multichannel" in asked, "diarize" in asked) == (apart, not apart)


async def test_audio_that_is_at_fault_is_not_tried_elsewhere(workers, providers):
    worker = workers()
    worker.config = ProcessingConfig(failover_providers=(ProviderName.ELEVENLABS,))
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    providers["assemblyai"].fault = "Audio duration is too short."
    failed = await worker.ended(transcription)
    assert failed.failure.reason == "audio_too_short"
    assert providers["elevenlabs"].asked == []


async def test_an_order_that_never_ends_is_given_up_after_the_time_limit(workers, providers):
    worker = workers(time_limit_s=0.0)
    transcription = await worker.queued(ProviderName.ASSEMBLYAI)
    failed = await worker.ended(transcription)
    assert failed.failure.reason == "processing_error"


async def test_a_worker_whose_claim_was_taken_over_writes_nothing(workers):
    worker = workers()
    await worker.queued(ProviderName.ELEVENLABS)
    stale = await worker.leases.claim("slow", 0.01)
    taken = None
    async with asyncio.timeout(60):
        while taken is None:
            taken = await worker.leases.claim("quick", 30)
    with pytest.raises(LeaseLost):
        await worker.transcribe(stale)
    await worker.transcribe(taken)
    assert (await worker.present(taken)).status is TranscriptionStatus.COMPLETED


async def test_an_exchange_under_way_ends_within_seconds_of_its_cancellation_and_frees_the_slot(workers, providers):
    worker = workers()
    first, second = await worker.queued(ProviderName.ELEVENLABS), await worker.queued(ProviderName.ASSEMBLYAI)
    providers["elevenlabs"].troubles = [silent]
    only_slot = asyncio.create_task(worker.ended(second))
    async with asyncio.timeout(25):
        while not providers["elevenlabs"].asked:
            await asyncio.sleep(0.01)
        assert providers["assemblyai"].asked == []
        present = await worker.present(first)
        over = present.changed(status=TranscriptionStatus.FAILED, active=False, job=present.job.ended(JobStatus.FAILED))
        await worker.transcriptions.save(present, over)
        assert (await only_slot).status is TranscriptionStatus.COMPLETED
    assert (await worker.present(first)).version == over.version


async def test_a_project_has_no_more_exchanges_under_way_than_it_may_and_others_go_on(workers, providers):
    async def limit_of(_tenant):
        return 1

    worker, busy = workers(limit_of=limit_of, slots=3), new_id("proj")
    providers["elevenlabs"].troubles = [silent]
    first = [await worker.queued(ProviderName.ELEVENLABS, project_id=busy) for _ in range(2)]
    done = await worker.ended(await worker.queued(ProviderName.ASSEMBLYAI))
    assert done.status is TranscriptionStatus.COMPLETED
    assert len(providers["elevenlabs"].asked) == 1
    assert {(await worker.present(one)).active for one in first} == {True}
