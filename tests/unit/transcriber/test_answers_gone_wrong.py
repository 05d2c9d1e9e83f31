"""Whatever a service answers in place of a field of its documented form: a transcript that holds its promises, or a failure."""

import copy
import json

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.transcriber.cloud_ports import AudioSource, ProviderUnavailable, SpeechOrder
from services.transcriber.providers.cloud.assemblyai import AssemblyAI
from services.transcriber.providers.cloud.deepgram import Deepgram
from services.transcriber.providers.cloud.elevenlabs import ElevenLabs
from services.transcriber.providers.cloud.http import ProviderHttp
from shared.domain.errors import PermanentFailure
from shared.domain.transcript import is_ordered
from shared.storage.documents import to_builtins
from tests.fakes.speech_providers import FakeAssemblyAI, FakeDeepgram, FakeElevenLabs

NOWHERE = ProviderHttp("provider", "https://provider.invalid")
ASKED = {"audio_url": "https://store.example/a", "speaker_labels": True}
ANSWERS = {
    Deepgram: FakeDeepgram().answer({"diarize": "true", "detect_language": "true"}),
    AssemblyAI: {"id": "1", "status": "completed", **ASKED} | FakeAssemblyAI().heard(ASKED),
    ElevenLabs: FakeElevenLabs().answer({"diarize": "true"}),
}
NUMBERS = (0, -1, 3.7, 1e-320, -1e308, 1e308, 10**30, 2**63, -(2**63))
OTHERS = (None, True, "", " ", "\x00", "x" * 1000, [], {}, [[]], [None])
SILENT = AudioSource(content_type="audio/ogg", filename="a.ogg", size_bytes=1, open=lambda: None)


def places(value, place=()):
    """Where something stands in an answer."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*place, key)
        yield from places(part, (*place, key))


@st.composite
def answers(draw, of):
    """The documented answer with other things in up to three places."""
    answer = copy.deepcopy(ANSWERS[of])
    for _ in range(draw(st.integers(1, 3))):
        if not (found := list(places(answer))):
            break
        *way, last = draw(st.sampled_from(found))
        within = answer
        for key in way:
            within = within[key]
        within[last] = copy.deepcopy(draw(st.sampled_from(NUMBERS + OTHERS)))
    return json.dumps(answer).encode()


@pytest.mark.parametrize("adapter", ANSWERS)
@given(data=st.data())
def test_it_is_read_to_a_transcript_that_can_be_kept_or_refused(adapter, data):
    body = data.draw(answers(adapter))
    fields = {"multichannel": data.draw(st.booleans()), "duration_ms": data.draw(st.sampled_from([0, 5500]))}
    try:
        transcript = adapter(NOWHERE).read(body, SpeechOrder(reference="t", api_key="k", audio=SILENT, **fields)).transcript
    except (ProviderUnavailable, PermanentFailure):
        return
    assert is_ordered(transcript.segments)
    assert transcript.duration_ms >= 0
    assert bson.encode(to_builtins(transcript))


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"error":' * 200_000, b"\xff", b""])
@pytest.mark.parametrize("adapter", ANSWERS)
def test_what_cannot_even_be_parsed_is_a_failure_that_may_pass(adapter, body):
    with pytest.raises(ProviderUnavailable):
        adapter(NOWHERE).read(body, SpeechOrder(reference="t", api_key="k", audio=SILENT, duration_ms=1))
