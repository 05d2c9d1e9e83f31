"""The answers that our adapters are tested with, read by the models of the providers' own Python SDKs."""

import assemblyai.types
import pydantic
import pytest
from deepgram.types.listen_v1accepted_response import ListenV1AcceptedResponse
from deepgram.types.listen_v1response import ListenV1Response
from elevenlabs.types.speech_to_text_chunk_response_model import SpeechToTextChunkResponseModel
from elevenlabs.types.speech_to_text_webhook_response_model import SpeechToTextWebhookResponseModel

from tests.fakes.speech_providers import SPOKEN, FakeAssemblyAI, FakeDeepgram, FakeElevenLabs

WORDS = [word for word, *_ in SPOKEN]


def test_deepgrams_answer_is_what_its_sdk_reads():
    answer = FakeDeepgram().answer({"diarize": "true", "detect_language": "true"})
    read = ListenV1Response.model_validate(answer)
    heard = read.results.channels[0].alternatives[0]
    assert [word.word for word in heard.words] == [word.lower().strip(",.?") for word in WORDS]
    assert [word.speaker for word in heard.words] == [who for *_, who in SPOKEN]
    assert read.results.channels[0].detected_language == "en"
    assert ListenV1AcceptedResponse.model_validate({"request_id": read.metadata.request_id})


def test_assemblyais_job_is_what_its_sdk_reads():
    server = FakeAssemblyAI()
    server.jobs["job"] = {"asked": {"audio_url": "https://store.example/a", "speaker_labels": True}, "looks": 2}
    done = server._job("job", "completed") | server.heard(server.jobs["job"]["asked"])
    read = assemblyai.types.TranscriptResponse.model_validate(done)
    assert (read.status, read.text) == (assemblyai.types.TranscriptStatus.completed, " ".join(WORDS))
    assert [word.text for word in read.words] == WORDS
    queued = assemblyai.types.TranscriptResponse.model_validate(server._job("job", "queued"))
    assert queued.status is assemblyai.types.TranscriptStatus.queued


def test_elevenlabs_answer_is_what_its_sdk_reads():
    read = SpeechToTextChunkResponseModel.model_validate(FakeElevenLabs().answer({"diarize": "true"}))
    assert [word.text for word in read.words if word.type == "word"] == WORDS
    assert {word.speaker_id for word in read.words} == {"speaker_0", "speaker_1"}
    accepted = {"message": "Request accepted", "request_id": "rq_1", "transcription_id": "tr_1"}
    assert SpeechToTextWebhookResponseModel.model_validate(accepted).transcription_id == "tr_1"


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (ListenV1Response, {"metadata": {}, "results": {"channels": []}}),
        (SpeechToTextChunkResponseModel, {"text": "no words"}),
        (assemblyai.types.TranscriptResponse, {"status": "done"}),
    ],
)
def test_the_sdks_models_do_refuse_other_shapes(model, wrong):
    with pytest.raises(pydantic.ValidationError):
        model.model_validate(wrong)
