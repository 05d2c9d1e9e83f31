"""What providers keep of transcriptions is deleted there, however they ended; no transcription pays for it."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from shared.domain.clock import now
from shared.domain.config.forms import ProcessingConfig
from shared.domain.errors import FailureReason
from shared.domain.job import JobStatus
from shared.domain.transcription import ProviderName, TranscriptionStatus
from shared.telemetry.logs import captured_lines
from tests.fakes.speech_providers import silent, status
from tests.fakes.webhook_receiver import eventually
from tests.integration.transcriber.remote_scene import SAID

ASSEMBLYAI, ELEVENLABS = ProviderName.ASSEMBLYAI, ProviderName.ELEVENLABS


def counted(provider, outcome):
    labels = {"provider": provider, "outcome": outcome}
    return REGISTRY.get_sample_value("earwitness_provider_copies_total", labels) or 0.0


@pytest.mark.parametrize("provider", [ASSEMBLYAI, ELEVENLABS])
async def test_a_copy_is_deleted_once_the_transcript_is_stored_and_not_before(workers, providers, provider):
    worker = workers()
    transcription = await worker.queued(provider)
    before = counted(provider, "deleted")
    if provider is ASSEMBLYAI:
        await worker.step()
        await worker.step()
        await worker.due_now()
        await worker.forget()
        assert providers[provider].deleted == []
    done = await worker.ended(transcription)
    await worker.forget()
    assert len(providers[provider].deleted) == 1
    assert counted(provider, "deleted") == before + 1
    assert (done.status, await worker.text(done)) == (TranscriptionStatus.COMPLETED, SAID)
    assert (await worker.order_of(transcription))["due_at"] is None
    await worker.forget()
    assert [asked.method for asked in providers[provider].asked].count("DELETE") == 1


@pytest.mark.parametrize("end", ["cancelled", "deleted", "removed for good", "failed over"])
async def test_a_copy_is_deleted_however_the_transcription_ended(workers, providers, end):
    worker = workers()
    transcription = await worker.queued(ASSEMBLYAI)
    await worker.step()
    present = await worker.step()
    (job_id,) = providers["assemblyai"].jobs
    if end == "cancelled":
        over = present.changed(status=TranscriptionStatus.FAILED, active=False, job=present.job.ended(JobStatus.FAILED))
        await worker.transcriptions.save(present, over)
    elif end == "failed over":
        worker.config = ProcessingConfig(failover_providers=(ELEVENLABS,))
        providers["assemblyai"].troubles = [status(500)] * 4
        done = await worker.ended(transcription)
        assert done.provider is ELEVENLABS
    else:
        await worker.transcriptions.delete_of(transcription.tenant, transcription.recording_id)
        if end == "removed for good":
            await worker.mongo.database["transcriptions"].delete_many({})
    await worker.due_now()
    await worker.forget()
    assert providers["assemblyai"].deleted == [job_id]


@pytest.mark.parametrize("by_url", [False, True])
async def test_a_copy_whose_id_did_not_live_to_be_noted_is_found_and_deleted(workers, providers, by_url):
    """As where a transcription is cancelled in the moment in which the order is taken."""
    worker, provider = workers(fetch_s=3600) if by_url else workers(), providers["assemblyai"]

    async def taken_and_not_answered(request):
        await provider.order(request, provider.asked[-1])
        await silent(request)

    transcription = await worker.queued(ASSEMBLYAI)
    if not by_url:
        await worker.step()
        provider.troubles.append(lambda request: provider.listing(request, None))  # it was not ordered before
    provider.troubles.append(taken_and_not_answered)
    ordering = asyncio.create_task(worker.transcribe(await worker.leases.claim("one that is stopped", 30)))
    await eventually(lambda: provider.jobs)
    ordering.cancel()
    await asyncio.gather(ordering, return_exceptions=True)
    await worker.transcriptions.delete_of(transcription.tenant, transcription.recording_id)
    await worker.due_now()
    await worker.forget()
    assert (len(provider.deleted), provider.jobs) == (1, {})
    assert (await worker.order_of(transcription))["due_at"] is None


async def test_a_copy_that_cannot_be_looked_for_is_named_by_its_mark(workers, providers):
    worker, provider = workers(), providers["assemblyai"]
    transcription = await worker.queued(ASSEMBLYAI)
    await worker.step()
    mark = (await worker.order_of(transcription))["mark"]
    await worker.transcriptions.delete_of(transcription.tenant, transcription.recording_id)
    provider.troubles = [status(500)] * 10
    with captured_lines() as lines:
        for _ in range(8):
            await worker.due_now()
            await worker.forget()
    (left,) = [line for line in lines if line["event"] == "provider.copy_left"]
    assert (left["copies"], left["mark"]) == ((), mark)
    assert mark.startswith("upload:")


async def test_an_order_that_was_refused_leaves_nothing_to_look_for(workers, providers):
    worker, provider = workers(fetch_s=3600), providers["assemblyai"]
    provider.troubles = [status(401)] * 10
    transcription, before = await worker.queued(ASSEMBLYAI), counted(ASSEMBLYAI, "failed")
    with captured_lines() as lines:
        assert (await worker.ended(transcription)).status is TranscriptionStatus.FAILED
        await worker.due_now()
        await worker.forget()
    assert [asked.method for asked in provider.asked] == ["POST"]
    assert counted(ASSEMBLYAI, "failed") == before
    assert not [line for line in lines if line["event"] == "provider.copy_left"]
    assert (await worker.order_of(transcription))["due_at"] is None


async def test_an_answer_that_was_lost_after_it_came_is_fetched_again_and_not_paid_for_again(workers, providers):
    first, second = workers(), workers()
    transcription = await first.queued(ELEVENLABS)

    async def killed(*_):
        raise KeyboardInterrupt

    claimed = await first.leases.claim("one that dies", 0.05)
    first.transcribe._results.store = killed
    with pytest.raises(KeyboardInterrupt):
        await first.transcribe(claimed)
    done = await second.ended(transcription)
    assert await second.text(done) == SAID
    assert [asked.method for asked in providers["elevenlabs"].asked] == ["POST", "GET"]
    await second.forget()
    assert providers["elevenlabs"].deleted == ["tr_1"]


async def test_what_is_gone_already_is_no_failure(workers, providers):
    worker = workers()
    transcription = await worker.queued(ASSEMBLYAI)
    await worker.ended(transcription)
    providers["assemblyai"].jobs.clear()
    await worker.forget()
    assert (await worker.order_of(transcription))["due_at"] is None


@pytest.mark.parametrize("code", [500, 429, 401])
async def test_a_provider_that_does_not_delete_is_asked_again_a_bounded_number_of_times_and_then_named(workers, providers, code):
    worker = workers()
    transcription = await worker.queued(ASSEMBLYAI)
    done = await worker.ended(transcription)
    (job_id,) = providers["assemblyai"].jobs
    providers["assemblyai"].troubles = [status(code)] * 100
    before = [counted(ASSEMBLYAI, outcome) for outcome in ("failed", "left")]
    with captured_lines() as lines:
        for tries in range(1, 8):
            await worker.forget()
            kept = await worker.order_of(transcription)
            assert (kept["tries"], kept["copies"]) == (tries, [job_id])
            assert kept["due_at"] > now() + timedelta(seconds=20)
            await worker.forget()
            assert (await worker.order_of(transcription))["tries"] == tries  # not before its time
            await worker.due_now()
        await worker.forget()
        await worker.due_now()
        await worker.forget()
    assert [counted(ASSEMBLYAI, outcome) for outcome in ("failed", "left")] == [before[0] + 8, before[1] + 1]
    (named,) = [line for line in lines if line["event"] == "provider.copy_left"]
    assert (named["copies"], named["id"]) == ((job_id,), transcription.id)
    present = await worker.present(transcription)
    assert (present.status, present.version) == (TranscriptionStatus.COMPLETED, done.version)


async def test_copies_are_kept_where_the_installation_says_so(workers, providers):
    worker = workers(keep_copies=True)
    transcription = await worker.queued(ELEVENLABS)
    await worker.ended(transcription)
    await worker.forget()
    assert providers["elevenlabs"].deleted == []
    assert (await worker.order_of(transcription))["due_at"] is None


async def test_a_transcript_is_deleted_with_the_key_that_it_was_made_with_being_the_projects_own(workers, providers):
    worker = workers()
    transcription = await worker.queued(ELEVENLABS)
    await worker.ended(transcription)
    await worker.keys.put(transcription.tenant, ELEVENLABS, "another account's")
    await worker.forget()
    assert providers["elevenlabs"].deleted == []
    await worker.keys.remove(transcription.tenant, ELEVENLABS)
    await worker.due_now()
    await worker.forget()
    assert providers["elevenlabs"].deleted == ["tr_1"]


async def test_a_key_that_was_damaged_fails_what_it_is_for_and_holds_up_nothing_else(workers, providers):
    worker = workers()
    first, second = await worker.queued(ASSEMBLYAI), await worker.queued(ELEVENLABS)
    for transcription in (first, second):
        await worker.ended(transcription)
    await worker.keys.put(first.tenant, ASSEMBLYAI, "the project's own")
    await worker.mongo.database["provider_keys"].update_many({}, {"$set": {"sealed": "damaged"}})
    for tries in (1, 2):
        await worker.due_now()
        await worker.forget()
        assert (await worker.order_of(first))["tries"] == tries
    assert providers["elevenlabs"].deleted == ["tr_1"]
    unpaid = await worker.ended(await worker.queued(ASSEMBLYAI, project_id=first.project_id))
    assert (unpaid.status, unpaid.failure.reason) == (TranscriptionStatus.FAILED, FailureReason.PROVIDER_NOT_CONFIGURED)
    worker.config = ProcessingConfig(failover_providers=(ELEVENLABS,))
    turned = await worker.ended(await worker.queued(ASSEMBLYAI, project_id=first.project_id))
    assert (turned.status, turned.provider) == (TranscriptionStatus.COMPLETED, ELEVENLABS)
