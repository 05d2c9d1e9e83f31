"""Orders whose result comes in the same exchange: whatever dies or fails around it, they are paid for once."""

import pytest

from shared.domain.config.forms import ProcessingConfig
from shared.domain.errors import TransientFailure
from shared.domain.provider_order import provider_order
from shared.domain.transcription import ProviderName, TranscriptionStatus
from tests.fakes.speech_providers import cut_off, malformed, not_json, status
from tests.integration.transcriber.remote_scene import SAID, OneFile

ASSEMBLYAI, DEEPGRAM, ELEVENLABS = ProviderName.ASSEMBLYAI, ProviderName.DEEPGRAM, ProviderName.ELEVENLABS
IN_THE_EXCHANGE = pytest.mark.parametrize("provider", [DEEPGRAM, ELEVENLABS])


@pytest.fixture
def two(workers):
    """Makes two workers over the same stores; the second goes on when the first is dead."""

    def made(**rules):
        store = OneFile()
        return [workers(store=store, deepgram_key=True, **rules) for _ in range(2)]

    return made


async def killed(*_):
    raise KeyboardInterrupt


async def dies(worker):
    """Let the worker die in the middle of the step that it has claimed."""
    claimed = await worker.leases.claim("one that dies", 0.05)
    with pytest.raises(KeyboardInterrupt):
        await worker.transcribe(claimed)


def posts(server):
    return [asked.path for asked in server.asked].count(server.routes()[0][1])


@IN_THE_EXCHANGE
async def test_an_answer_that_was_kept_is_read_by_the_next_worker_and_not_ordered_again(two, providers, provider):
    first, second = two()
    transcription = await first.queued(provider)
    first.transcribe._results.store = killed
    first.transcribe._book.note = killed  # before the id is stored: nothing but the answer is there
    await dies(first)
    assert (await first.present(transcription)).remote.sent_at is not None
    done = await second.ended(transcription)
    assert (done.status, await second.text(done)) == (TranscriptionStatus.COMPLETED, SAID)
    assert [asked.method for asked in providers[provider].asked] == ["POST"]


@IN_THE_EXCHANGE
async def test_a_database_that_fails_when_the_answer_has_come_costs_no_second_order(two, providers, provider):
    worker, _ = two()
    transcription = await worker.queued(provider)
    store, failures = worker.transcribe._results.store, 3

    async def not_now(*given):
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise TransientFailure("the database is away")
        return await store(*given)

    worker.transcribe._results.store = not_now
    done = await worker.ended(transcription)
    assert await worker.text(done) == SAID
    assert posts(providers[provider]) == 1


@IN_THE_EXCHANGE
async def test_what_was_kept_is_deleted_once_the_transcript_is_stored(two, providers, provider):
    worker, _ = two()
    transcription = await worker.queued(provider)
    await worker.ended(transcription)
    assert set(worker.files.answers) == {provider_order(transcription, None).answer_key}
    await worker.forget()
    assert worker.files.answers == {}
    assert (await worker.order_of(transcription))["due_at"] is None


@IN_THE_EXCHANGE
async def test_an_answer_that_nobody_kept_fails_it_with_a_reason_that_says_so(two, providers, provider):
    first, second = two()
    transcription = await first.queued(provider)
    first.transcribe._taken = killed
    await dies(first)
    failed = await second.ended(transcription)
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, "processing_error")
    assert failed.failure.message == f"{provider} may have taken the order; its answer was lost"
    assert posts(providers[provider]) == 1


async def test_with_a_fail_over_list_the_next_provider_does_what_was_lost(two, providers):
    first, second = two()
    second.config = ProcessingConfig(failover_providers=(ASSEMBLYAI,))
    transcription = await first.queued(DEEPGRAM)
    first.transcribe._taken = killed
    await dies(first)
    done = await second.ended(transcription)
    assert (done.provider, done.tried, await second.text(done)) == (ASSEMBLYAI, (DEEPGRAM,), SAID)
    assert posts(providers["deepgram"]) == 1


@IN_THE_EXCHANGE
async def test_it_is_ordered_again_where_the_installation_would_rather_pay_twice(two, providers, provider):
    first, second = two(order_again=True)
    transcription = await first.queued(provider)
    first.transcribe._taken = killed
    await dies(first)
    assert await second.text(await second.ended(transcription)) == SAID
    assert posts(providers[provider]) == 2


@IN_THE_EXCHANGE
@pytest.mark.parametrize("trouble", [cut_off, not_json, malformed, *map(status, (502, 504, 520, 522, 524))])
async def test_an_exchange_that_leaves_it_in_doubt_whether_the_order_was_taken_is_not_repeated(two, providers, provider, trouble):
    worker, _ = two()
    transcription = await worker.queued(provider)
    providers[provider].troubles = [trouble]
    failed = await worker.ended(transcription)
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, "processing_error")
    assert posts(providers[provider]) == 1


@IN_THE_EXCHANGE
@pytest.mark.parametrize("trouble", [status(429, Retry_After="0"), status(500), status(503)])
async def test_an_order_that_was_surely_not_taken_is_placed_again(two, providers, provider, trouble):
    worker, _ = two()
    transcription = await worker.queued(provider)
    providers[provider].troubles = [trouble, trouble]
    assert await worker.text(await worker.ended(transcription)) == SAID
    assert posts(providers[provider]) == 3


@IN_THE_EXCHANGE
async def test_a_provider_that_cannot_be_reached_has_taken_nothing(two, providers, provider):
    worker, _ = two()
    transcription = await worker.queued(provider)
    http = worker.transcribe._providers[provider]._http
    reached, http._base = http._base, "http://127.0.0.1:9"
    waiting = await worker.step()
    assert (waiting.remote.sent_at, waiting.remote.failures) == (None, 1)
    http._base = reached
    assert await worker.text(await worker.ended(transcription)) == SAID


@IN_THE_EXCHANGE
async def test_a_bucket_that_does_not_take_the_answer_delays_nothing(two, providers, provider):
    worker, _ = two()
    transcription = await worker.queued(provider)

    async def full(*_):
        raise TransientFailure("no space left")

    worker.files.put = full
    assert await worker.text(await worker.ended(transcription)) == SAID
    assert posts(providers[provider]) == 1


async def test_a_kept_answer_that_cannot_be_read_ends_it(two, providers):
    first, second = two()
    transcription = await first.queued(DEEPGRAM)
    first.transcribe._taken = killed
    await dies(first)
    first.files.answers[provider_order(transcription, None).answer_key] = b'{"language_code": "eng", "words": []}'
    failed = await second.ended(transcription)
    assert (failed.status, failed.failure.reason) == (TranscriptionStatus.FAILED, "processing_error")
    assert posts(providers["deepgram"]) == 1
