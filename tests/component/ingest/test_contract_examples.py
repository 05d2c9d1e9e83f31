"""The contract's examples, played as they are printed; `integration/ingest` has them on real servers."""

import msgspec
import pytest

from shared.domain.transcript import Segment, transcript_of
from shared.domain.transcription import TranscriptionStatus
from tests.fakes.ingest import API_SETTINGS, Api, fake_stores
from tests.replaying import FILES, Player, examples_of


@pytest.fixture
async def api():
    """The API over fakes, where tests of endpoints wait for nobody."""
    api = await Api(fake_stores(), msgspec.structs.replace(API_SETTINGS, webhooks_test_wait_s=0)).open()
    yield api
    await api.client.aclose()


def transcriber(api):
    """Stand in for the transcriber."""

    async def meanwhile(what, named):
        assert what == "transcribed"
        stored = api.stores.transcriptions.documents[named("txn_abc123")]
        said = Segment(start=0.0, end=1.0, text="Hi", confidence=0.5, words=(), speaker="SPEAKER_0")
        api.stores.transcripts.kept[stored.tenant, stored.id] = transcript_of([said], language="en", duration_ms=1000)
        done = {"status": TranscriptionStatus.COMPLETED, "active": False, "completed_at": stored.created_at}
        told = {"language": "en", "duration_ms": 1000, "word_count": 1, "confidence": 0.5}
        api.stores.transcriptions.documents[stored.id] = msgspec.structs.replace(stored, **done, **told)

    return meanwhile


@pytest.mark.parametrize("name", FILES)
async def test_what_the_contract_prints_is_taken_and_answered_so(api, name):
    player = await Player(api, transcriber(api)).open()
    for example in examples_of(name):
        await player.play(example)
