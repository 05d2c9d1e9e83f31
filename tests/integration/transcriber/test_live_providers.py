"""The adapters against the live services, where a key for them is set: `EARWITNESS_TESTS_DEEPGRAM_KEY` and its like."""

import asyncio
import os

import pytest

from services.transcriber.cloud_ports import AudioSource, Heard, SpeechOrder
from services.transcriber.cloud_settings import CloudSettings
from services.transcriber.providers.cloud.factory import clouds
from shared.domain.errors import PermanentFailure
from shared.domain.provider_key import ON_THE_NETWORK
from shared.domain.transcript import Transcript, is_ordered
from tests.speech import word_error_rate

LONGEST_S = 300


@pytest.fixture(params=sorted(ON_THE_NETWORK))
async def live(request):
    key = os.environ.get(f"EARWITNESS_TESTS_{request.param.upper()}_KEY")
    if not key:
        pytest.skip(f"no key for the live {request.param}: EARWITNESS_TESTS_{request.param.upper()}_KEY is not set")
    made = clouds(CloudSettings())
    yield made.providers[request.param], key
    await made.close()


def an_order(key, path, **fields):
    async def pieces():
        yield path.read_bytes()

    audio = AudioSource(content_type="audio/wav", filename=path.name, size_bytes=path.stat().st_size, open=pieces)
    return SpeechOrder(reference="txn_live", api_key=key, audio=audio, duration_ms=30_000, **fields)


async def test_a_live_service_transcribes_real_speech_with_its_speakers(live, real_conversation):
    provider, key = live
    order = an_order(key, real_conversation.path)
    outcome = await provider.place(order)
    async with asyncio.timeout(LONGEST_S):
        kept = outcome.job_id
        while not isinstance(outcome, Transcript | Heard):
            await asyncio.sleep(3)
            outcome = (await provider.collect(order, kept)) or outcome
            kept = getattr(outcome, "job_id", kept)
    transcript = outcome.transcript if isinstance(outcome, Heard) else outcome
    assert word_error_rate(real_conversation.text, transcript.text) < 0.25
    assert len({segment.speaker for segment in transcript.segments}) == 2
    assert is_ordered(transcript.segments)
    if kept is not None and provider.keeps(kept):
        await provider.forget(key, kept)
        await provider.forget(key, kept)  # gone already: no error


async def test_a_live_service_refuses_a_wrong_key(live, real_conversation):
    provider, _ = live
    with pytest.raises(PermanentFailure) as raised:
        await provider.place(an_order("wrong", real_conversation.path))
    assert raised.value.reason == "provider_not_configured"
