"""What Deepgram sends to a callback in place of an answer: the transcription's reason, and what it said, for whoever looks."""

import json

import pytest

from services.transcriber.cloud_ports import AudioSource, SpeechOrder
from services.transcriber.providers.cloud.deepgram import Deepgram
from services.transcriber.providers.cloud.http import ProviderHttp
from shared.domain.errors import FailureReason, PermanentFailure
from tests.fakes.speech_providers import SPOKEN, FakeDeepgram

SILENT = AudioSource(content_type="audio/ogg", filename="a.ogg", size_bytes=1, open=lambda: None)
ORDER = SpeechOrder(reference="t", api_key="k", audio=SILENT, duration_ms=1)
CORRUPT = "failed to process audio: corrupt or unsupported data"


def read(body):
    return Deepgram(ProviderHttp("deepgram", "https://provider.invalid")).read(json.dumps(body).encode(), ORDER)


@pytest.mark.parametrize(
    ("body", "reason", "said"),
    [
        ({"err_code": "Bad Request", "err_msg": CORRUPT}, "audio_corrupt", CORRUPT),
        ({"err_code": "Bad Request", "err_msg": CORRUPT, "message": "The audio is too short."}, "audio_corrupt", CORRUPT),
        ({"category": "INVALID", "message": "The audio is too short."}, "audio_too_short", "The audio is too short."),
        ({"message": "It was refused.", "details": "An unsupported codec."}, "unsupported_format", "It was refused."),
        ({"err_msg": "The machine is tired.", "details": None}, "processing_error", "The machine is tired."),
    ],
)
def test_either_form_of_an_error_ends_the_transcription_with_its_reason_and_words(body, reason, said):
    with pytest.raises(PermanentFailure) as raised:
        read(body | {"request_id": "0b8e7a3c"})
    assert (raised.value.reason, str(raised.value)) == (FailureReason(reason), f"deepgram: {said}")


def test_an_error_beside_an_answer_is_an_error():
    with pytest.raises(PermanentFailure, match="the second half was lost"):
        read(FakeDeepgram().answer({}) | {"err_msg": "the second half was lost"})


def test_long_words_are_cut():
    with pytest.raises(PermanentFailure) as raised:
        read({"err_msg": "x" * 10_000})
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("nothing", [{}, {"err_msg": None, "message": None, "details": None}, {"err_msg": "", "message": ""}])
def test_an_answer_without_an_error_is_read(nothing):
    heard = read(FakeDeepgram().answer({}) | nothing)
    assert heard.transcript.text == " ".join(word for word, *_ in SPOKEN)
