"""What the adapters ask, field by field, and how they bear services that misbehave as they are told: local by nature.

What holds of every service, the live ones too, is in `test_cloud_providers.py`.
"""

import asyncio
import contextlib
import json
from datetime import timedelta
from email.utils import format_datetime

import pytest

from services.transcriber.cloud_ports import AudioSource, Heard, Placed, ProviderUnavailable, SpeechOrder
from services.transcriber.providers.cloud.assemblyai import AssemblyAI
from services.transcriber.providers.cloud.deepgram import Deepgram
from services.transcriber.providers.cloud.elevenlabs import ElevenLabs
from services.transcriber.providers.cloud.http import ProviderHttp
from shared.domain.clock import now
from shared.domain.errors import PermanentFailure
from shared.domain.transcript import Transcript, is_ordered
from tests.fakes.speech_providers import (
    KEY,
    FakeAssemblyAI,
    FakeDeepgram,
    FakeElevenLabs,
    cut_off,
    dripping,
    malformed,
    not_json,
    silent,
    status,
)

AUDIO = b"OggS" + bytes(range(256)) * 1000
URL = "https://store.example/proj/rec/audio.ogg?response-content-disposition=txn_1.ogg&X-Amz-Signature=abc"
SENTENCES = ["Hello, who speaks?", "Good morning."]
PROVIDERS = {
    "deepgram": (FakeDeepgram, Deepgram),
    "assemblyai": (FakeAssemblyAI, AssemblyAI),
    "elevenlabs": (FakeElevenLabs, ElevenLabs),
}


def an_order(**fields):
    async def pieces():
        for start in range(0, len(AUDIO), 50_000):
            yield AUDIO[start : start + 50_000]

    by_url = fields.pop("url", None)
    audio = AudioSource(content_type="audio/ogg", filename="txn_1.ogg", size_bytes=len(AUDIO), open=pieces, url=by_url)
    return SpeechOrder(**({"reference": "txn_1", "api_key": KEY, "audio": audio, "duration_ms": 5500} | fields))


class Scene:
    def __init__(self, name, server):
        self.server = server
        self.http = ProviderHttp(name, server.url, silence_s=1.0, answer_s=2.0)
        self.provider = PROVIDERS[name][1](self.http)

    async def transcript(self, order):
        """Place the order and ask until it is done, as the queue would."""
        outcome = await self.provider.place(order)
        for _ in range(10):
            if isinstance(outcome, Transcript | Heard):
                return outcome.transcript if isinstance(outcome, Heard) else outcome
            outcome = (await self.provider.collect(order, outcome.job_id)) or outcome
        raise AssertionError("the job does not end")


@contextlib.asynccontextmanager
async def played(name):
    """Yield the scene of one provider."""
    async with PROVIDERS[name][0]().running() as server:
        scene = Scene(name, server)
        yield scene
        await scene.http.close()


@pytest.fixture(params=PROVIDERS)
async def scene(request):
    async with played(request.param) as scene:
        yield scene


@pytest.fixture
async def deepgram():
    async with played("deepgram") as scene:
        yield scene


@pytest.fixture
async def assemblyai():
    async with played("assemblyai") as scene:
        yield scene


@pytest.fixture
async def elevenlabs():
    async with played("elevenlabs") as scene:
        yield scene


async def test_an_answer_is_taken_though_a_gateway_has_put_more_into_its_header_than_is_usual(scene):
    scene.server.added_headers = {"Content-Security-Policy": "x" * 20_000}
    assert [segment.text for segment in (await scene.transcript(an_order())).segments] == SENTENCES


@pytest.mark.parametrize("url", [None, URL], ids=["bytes", "url"])
async def test_each_answer_becomes_the_one_form_of_a_transcript(scene, url):
    transcript = await scene.transcript(an_order(url=url))
    assert [segment.text for segment in transcript.segments] == SENTENCES
    assert [segment.speaker for segment in transcript.segments] == ["SPEAKER_0", "SPEAKER_1"]
    assert [word.word for segment in transcript.segments for word in segment.words] == [
        "Hello,",
        "who",
        "speaks?",
        "Good",
        "morning.",
    ]
    assert transcript.text == " ".join(SENTENCES)
    assert (transcript.word_count, transcript.duration_ms) == (5, 5500)
    assert 0.9 < transcript.confidence <= 1
    assert transcript.language in {"en", "eng"}
    assert is_ordered(transcript.segments)
    assert (transcript.segments[1].start, transcript.segments[1].end) == (4.0, 4.9)


async def test_deepgram_is_asked_as_its_reference_says(deepgram):
    await deepgram.transcript(an_order(language="en-US"))
    asked = deepgram.server.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v1/listen")
    assert asked.query == {
        "model": "nova-2",
        "language": "en-US",
        "diarize": "true",
        "punctuate": "true",
        "smart_format": "true",
        "tag": "txn_1",
    }
    assert (asked.headers["Content-Type"], asked.headers["Content-Length"]) == ("audio/ogg", str(len(AUDIO)))
    assert asked.body == AUDIO
    await deepgram.transcript(an_order(url=URL, diarization=False))
    asked = deepgram.server.asked[1]
    assert asked.json == {"url": URL}
    assert asked.query["detect_language"] == "true"
    assert not {"language", "diarize"} & set(asked.query)


async def test_deepgrams_answer_to_a_callback_is_read_as_its_own_answer_would_be(deepgram):
    order = an_order(callback_url="https://api.example/v1/callbacks/deepgram/txn_1")
    placed = await deepgram.provider.place(order)
    assert isinstance(placed, Placed)
    assert deepgram.server.asked[0].query["callback"] == order.callback_url
    assert await deepgram.provider.collect(order, placed.job_id) is None
    body = json.dumps(deepgram.server.answer({"diarize": "true"})).encode()
    assert deepgram.provider.read(body, order).transcript.text == " ".join(SENTENCES)


async def test_assemblyai_is_asked_as_its_reference_says(assemblyai):
    await assemblyai.transcript(an_order(language="en_us", num_speakers=2))
    upload, listing, order, *looks = assemblyai.server.asked
    assert (upload.method, upload.path, upload.body) == ("POST", "/v2/upload", AUDIO)
    assert upload.headers["Content-Type"] == "application/octet-stream"
    assert (listing.method, listing.path, listing.query) == ("GET", "/v2/transcript", {"limit": "200"})
    assert (order.method, order.path) == ("POST", "/v2/transcript")
    assert order.json.pop("audio_url").startswith(assemblyai.server.url)
    assert order.json == {
        "speech_model": "best",
        "punctuate": True,
        "format_text": True,
        "language_code": "en_us",
        "speaker_labels": True,
        "speakers_expected": 2,
    }
    assert {(look.method, look.path) for look in looks} == {("GET", f"/v2/transcript/{next(iter(assemblyai.server.jobs))}")}
    await assemblyai.transcript(an_order(url=URL, diarization=False))
    order = next(asked for asked in assemblyai.server.asked if (asked.json or {}).get("audio_url") == URL)
    assert order.json["language_detection"] is True
    assert "speaker_labels" not in order.json


async def test_elevenlabs_is_asked_as_its_reference_says(elevenlabs):
    await elevenlabs.transcript(an_order(language="eng", num_speakers=2))
    asked = elevenlabs.server.asked[0]
    assert asked.form.pop("file") == ("txn_1.ogg", "audio/ogg", AUDIO)
    assert asked.form == {
        "model_id": "scribe_v1",
        "timestamps_granularity": "word",
        "tag_audio_events": "false",
        "diarize": "true",
        "language_code": "eng",
        "num_speakers": "2",
    }
    await elevenlabs.transcript(an_order(url=URL))
    assert elevenlabs.server.asked[1].form["source_url"] == URL
    assert "file" not in elevenlabs.server.asked[1].form


async def test_an_asynchronous_elevenlabs_order_is_collected_by_its_id(elevenlabs):
    elevenlabs.provider = ElevenLabs(elevenlabs.http, asynchronous=True)
    transcript = await elevenlabs.transcript(an_order())
    assert transcript.text == " ".join(SENTENCES)
    assert elevenlabs.server.asked[0].form["webhook"] == "true"
    assert [asked.method for asked in elevenlabs.server.asked] == ["POST", "GET", "GET", "GET"]


async def test_an_assemblyai_order_whose_answer_was_lost_is_found_and_not_placed_again(assemblyai):
    order = an_order(url=URL)
    placed = await assemblyai.provider.place(order)
    assert await assemblyai.provider.recover(order) == placed
    assert await assemblyai.provider.recover(an_order(url=URL, reference="txn_2")) is None
    uploaded = await assemblyai.provider.place(an_order())
    first = await assemblyai.provider.collect(an_order(), uploaded.job_id)
    again = await assemblyai.provider.collect(an_order(), uploaded.job_id)
    assert first == again
    assert len(assemblyai.server.jobs) == 2


@pytest.mark.parametrize("trouble", [status(500), status(502), status(503), not_json, malformed, cut_off, dripping, silent])
async def test_an_answer_that_cannot_be_used_is_a_failure_that_may_pass(scene, trouble):
    scene.server.troubles = [trouble]
    with pytest.raises(ProviderUnavailable):
        async with asyncio.timeout(10):
            await scene.http.ask("POST", scene.server.routes()[0][1], dict[str, str], data=b"x")
    scene.server.troubles = [] if trouble is silent else [trouble]
    if trouble is not silent:
        with pytest.raises(ProviderUnavailable):
            await scene.provider.place(an_order())
    assert (await scene.transcript(an_order())).text == " ".join(SENTENCES)


WAITS = [("7", 7.0), ("0", 0.0), ("99999999", 3600.0), ("soon", None), ("nan", None), (f"21 Nov {10**20} 10:00:00 GMT", None)]


@pytest.mark.parametrize(("header", "wait_s"), WAITS)
async def test_a_busy_provider_says_when_to_come_again(scene, header, wait_s):
    scene.server.troubles = [status(429, Retry_After=header)]
    with pytest.raises(ProviderUnavailable) as raised:
        await scene.provider.place(an_order())
    assert raised.value.retry_after_s == wait_s


async def test_a_busy_provider_may_say_it_with_a_date(scene):
    scene.server.troubles = [status(503, Retry_After=format_datetime(now() + timedelta(seconds=60), usegmt=True))]
    with pytest.raises(ProviderUnavailable) as raised:
        await scene.provider.place(an_order())
    assert 50 < raised.value.retry_after_s <= 60


@pytest.mark.parametrize(
    ("code", "body", "reason"),
    [
        (
            400,
            {"err_code": "Bad Request", "err_msg": "Bad Request: failed to process audio: corrupt or unsupported data"},
            "audio_corrupt",
        ),
        (400, {"detail": {"status": "audio_too_short", "message": "Audio is too short."}}, "audio_too_short"),
        (415, {"error": "what is this"}, "unsupported_format"),
        (402, {"err_msg": "Project does not have enough credits"}, "provider_not_configured"),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, "processing_error"),
        (400, ["not", "an", "object"], "processing_error"),
    ],
)
async def test_what_a_provider_refuses_for_good_has_a_reason_of_ours(scene, code, body, reason):
    scene.server.troubles = [status(code, body)]
    with pytest.raises(PermanentFailure) as raised:
        await scene.provider.place(an_order())
    assert raised.value.reason == reason


async def test_a_redirect_is_not_followed_with_the_key(scene):
    scene.server.troubles = [status(307, Location="http://127.0.0.1:9/elsewhere")]
    with pytest.raises(ProviderUnavailable):
        await scene.provider.place(an_order())
    assert len(scene.server.asked) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("Transcoding failed. File does not appear to contain audio. File type is text/html", "unsupported_format"),
        ("Audio duration is too short.", "audio_too_short"),
        ("Something else", "processing_error"),
    ],
)
async def test_an_assemblyai_job_that_failed_has_a_reason_of_ours(assemblyai, fault, reason):
    assemblyai.server.fault = fault
    with pytest.raises(PermanentFailure) as raised:
        await assemblyai.transcript(an_order())
    assert raised.value.reason == reason


async def test_silence_is_an_empty_transcript_though_assemblyai_calls_it_an_error(assemblyai):
    assemblyai.server.fault = "language_detection cannot be performed on files with no spoken audio."
    transcript = await assemblyai.transcript(an_order())
    assert (transcript.text, transcript.segments) == ("", ())


def told(scene, name):
    """What the first request said under this name."""
    return [value for field, value in scene.server.asked[0].pairs if field == name]


async def test_words_that_are_likely_to_be_said_are_told_in_each_providers_way(deepgram, assemblyai, elevenlabs):
    order = an_order(vocabulary=("Dashwood", "Norland Park"))
    for scene in (deepgram, assemblyai, elevenlabs):
        await scene.transcript(order)
    assert told(deepgram, "keywords") == ["Dashwood", "Norland Park"]
    assert next(iter(assemblyai.server.jobs.values()))["asked"]["word_boost"] == ["Dashwood", "Norland Park"]
    assert told(elevenlabs, "keyterms") == ["Dashwood", "Norland Park"]


async def test_a_word_that_a_provider_does_not_take_costs_nobody_the_transcription(deepgram, assemblyai, elevenlabs):
    strange = ("at 10:30", "<b>[Park]", "{}", "one two three four five six", "x" * 51, " ", "a b c d e f g h i")
    for scene in (deepgram, assemblyai, elevenlabs):
        await scene.transcript(an_order(vocabulary=strange))
    assert told(deepgram, "keywords") == ["at 10 30", "<b>[Park]", "{}", "one two three four five six", "x" * 51]
    boosted = next(iter(assemblyai.server.jobs.values()))["asked"]["word_boost"]
    assert boosted == ["at 10:30", "<b>[Park]", "{}", "one two three four five six", "x" * 51]
    assert told(elevenlabs, "keyterms") == ["at 10:30", "b Park"]


async def test_with_a_speaker_per_channel_nobody_is_told_apart_by_voice(deepgram, assemblyai, elevenlabs):
    order = an_order(multichannel=True)
    for scene in (deepgram, assemblyai, elevenlabs):
        await scene.provider.place(order)
    placed = await assemblyai.provider.place(an_order(multichannel=True, url=URL))
    assert deepgram.server.asked[0].query["multichannel"] == "true"
    assert "diarize" not in deepgram.server.asked[0].query
    assert assemblyai.server.jobs[placed.job_id]["asked"]["multichannel"] is True
    assert elevenlabs.server.asked[0].form["use_multi_channel"] == "true"
    assert elevenlabs.server.asked[0].form["diarize"] == "false"
