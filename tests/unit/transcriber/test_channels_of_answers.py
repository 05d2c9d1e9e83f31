"""Answers of providers that hear each channel by itself: people who speak at once, and channels in languages of their own."""

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


def in_deepgrams_form(*channels):
    """The answer to an order of any language: of each channel the language that was detected, and what was heard."""
    answer = FakeDeepgram().answer({"multichannel": "true", "detect_language": "true"}, Sound(5.0, tuple(w for _, w in channels)))
    for channel, (language, _) in zip(answer["results"]["channels"], channels, strict=True):
        channel["detected_language"] = language
    return answer


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


ENGLISH = (("Good", 1.0, 1.2, 0), ("morning", 1.3, 1.5, 0), ("Mei.", 1.6, 1.8, 0))
CHINESE = (("你", 2.0, 2.2, 0), ("好。", 2.3, 2.5, 0))


@pytest.mark.parametrize("turned", [False, True])
def test_each_channels_words_are_set_apart_as_its_own_language_wants(turned):
    channels = [("en", ENGLISH), ("zh", CHINESE)]
    transcript = read(Deepgram, in_deepgrams_form(*(reversed(channels) if turned else channels)))
    assert transcript.text == "Good morning Mei. 你好。"
    assert transcript.language == "en"  # that of the most words


def test_what_is_taken_for_the_language_of_a_silent_channel_counts_for_nothing():
    transcript = read(Deepgram, in_deepgrams_form(("ja", ()), ("en", ENGLISH)))
    assert (transcript.text, transcript.language) == ("Good morning Mei.", "en")
