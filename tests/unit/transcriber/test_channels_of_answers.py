"""Answers of providers that hear each channel by itself: people who speak at once."""

import json

import pytest

from services.transcriber.cloud_ports import AudioSource, SpeechOrder
from services.transcriber.providers.cloud.assemblyai import AssemblyAI
from services.transcriber.providers.cloud.deepgram import Deepgram
from services.transcriber.providers.cloud.elevenlabs import ElevenLabs
from services.transcriber.providers.cloud.http import ProviderHttp
from tests.fakes.speech_providers import FakeAssemblyAI, FakeDeepgram, FakeElevenLabs
from tests.fakes.speech_providers.sounds import Sound

NOWHERE = ProviderHttp("provider", "https://provider.invalid")
AUDIO = AudioSource(content_type="audio/ogg", filename="a.ogg", size_bytes=1, open=lambda: None)
ASKED = {"audio_url": "https://store.example/a", "multichannel": True}
BOTH_AT_ONCE = Sound(
    5.0,
    (
        (("I", 1.0, 1.2, 0), ("was", 1.4, 1.6, 0), ("there.", 1.8, 2.0, 0), ("Were", 3.4, 3.6, 0), ("you?", 3.8, 4.0, 0)),
        (("Yes,", 1.3, 1.5, 0), ("of", 1.7, 1.8, 0), ("course.", 1.9, 2.2, 0)),
    ),
)
OF_BOTH = {
    Deepgram: FakeDeepgram().answer({"multichannel": "true"}, BOTH_AT_ONCE),
    AssemblyAI: {"id": "1", "status": "completed", **ASKED} | FakeAssemblyAI().heard(ASKED, BOTH_AT_ONCE),
    ElevenLabs: FakeElevenLabs().answer({"use_multi_channel": "true"}, BOTH_AT_ONCE),
}


def read(adapter, answer, **fields):
    order = SpeechOrder(reference="t", api_key="k", audio=AUDIO, duration_ms=5000, multichannel=True, **fields)
    return adapter(NOWHERE).read(json.dumps(answer).encode(), order).transcript


def said(transcript):
    return [(segment.speaker, segment.text) for segment in transcript.segments]


@pytest.mark.parametrize("adapter", OF_BOTH)
def test_who_speaks_into_anothers_sentence_does_not_cut_it(adapter):
    sentences = [("SPEAKER_0", "I was there."), ("SPEAKER_1", "Yes, of course."), ("SPEAKER_0", "Were you?")]
    transcript = read(adapter, OF_BOTH[adapter])
    assert said(transcript) == sentences
    assert {word.speaker for segment in transcript.segments for word in segment.words} == {"SPEAKER_0", "SPEAKER_1"}
    unnamed = read(adapter, OF_BOTH[adapter], diarization=False)
    assert said(unnamed) == [(None, text) for _, text in sentences]


def test_the_space_between_two_words_of_a_channel_is_its_own():
    """Also where a word of another channel stands between them."""
    answer = OF_BOTH[ElevenLabs]
    words = [word for word in answer["words"] if word["type"] == "word"]
    spaces = [{"text": " ", "type": "spacing", "start": word["end"], "channel_index": word["channel_index"]} for word in words]
    in_order = sorted(words + spaces, key=lambda item: item["start"])
    assert said(read(ElevenLabs, answer | {"words": in_order})) == said(read(ElevenLabs, answer))
