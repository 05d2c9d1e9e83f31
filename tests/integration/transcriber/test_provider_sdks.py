"""The providers' own Python SDKs and our adapters ask the same of the same server: orders, callbacks, the deletion of copies."""

import asyncio
import contextlib
import json

import assemblyai.types
import httpx
import pytest
from assemblyai.prerecorded.v2 import async_api
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.types.listen_v1accepted_response import ListenV1AcceptedResponse
from elevenlabs.client import AsyncElevenLabs

from services.transcriber.cloud_ports import AudioSource, SpeechOrder
from services.transcriber.providers.cloud.assemblyai import AssemblyAI
from services.transcriber.providers.cloud.deepgram import Deepgram
from services.transcriber.providers.cloud.elevenlabs import ElevenLabs
from services.transcriber.providers.cloud.http import ProviderHttp
from tests.fakes.speech_providers import KEY, FakeAssemblyAI, FakeDeepgram, FakeElevenLabs

AUDIO = b"OggS" + bytes(1000)
VOCABULARY = ("Dashwood", "Norland Park")
URL, CALLBACK = "https://store.example/a.ogg", "https://api.example/v1/provider-callbacks/deepgram/cbk_0"


@contextlib.asynccontextmanager
async def asked_by_us(adapter, server):
    """Our adapter on the server; its connection is closed after."""
    http = ProviderHttp("p", server.url)
    yield adapter(http)
    await http.close()


def an_order(**fields):
    """An order of the bytes, unless it has a URL."""

    async def pieces():
        yield AUDIO

    url = fields.pop("url", None)
    audio = AudioSource(content_type="audio/ogg", filename="a.ogg", size_bytes=len(AUDIO), open=pieces, url=url)
    return SpeechOrder(reference="txn_1", api_key=KEY, audio=audio, duration_ms=1, **fields)


def deepgram_sdk(server):
    environment = DeepgramClientEnvironment(base=server.url, production=server.url, agent=server.url, agent_rest=server.url)
    return AsyncDeepgramClient(api_key=KEY, environment=environment).listen.v1.media


def as_sent(asked):
    """What of a request means something."""
    named = {name.lower(): value for name, value in asked.headers.items()}
    return asked.method, asked.path, asked.query, asked.json, named.get("authorization"), named.get("xi-api-key")


def said_in(form):
    """What of a form means something: the SDK sends `null` for some of what it was not told."""
    return {name: value for name, value in form.items() if value != "null"}


@pytest.fixture(params=[FakeDeepgram, FakeAssemblyAI, FakeElevenLabs])
async def server(request):
    async with request.param().running() as running:
        yield running


@pytest.mark.filterwarnings("ignore:websockets")  # of what the SDK imports
@pytest.mark.parametrize("server", [FakeDeepgram], indirect=True)
@pytest.mark.parametrize(
    ("wished", "order"),
    [
        ({"language": "en-US", "diarize": True}, {"language": "en-US"}),
        ({"detect_language": True, "multichannel": True}, {"multichannel": True}),
        ({"detect_language": True, "keywords": list(VOCABULARY)}, {"diarization": False, "vocabulary": VOCABULARY}),
    ],
)
async def test_deepgram_is_sent_audio_as_its_sdk_sends_it(server, wished, order):
    usual = {"model": "nova-2", "tag": "txn_1", "punctuate": True, "smart_format": True}
    await deepgram_sdk(server).transcribe_file(request=AUDIO, **usual, **wished)
    async with asked_by_us(Deepgram, server) as deepgram:
        await deepgram.place(an_order(**order))
    theirs, ours = server.asked
    assert as_sent(ours) == as_sent(theirs)
    assert sorted(ours.pairs) == sorted(theirs.pairs)
    assert ours.body == theirs.body == AUDIO


@pytest.mark.filterwarnings("ignore:websockets")
@pytest.mark.parametrize("server", [FakeDeepgram], indirect=True)
async def test_deepgram_is_asked_for_a_callback_as_its_sdk_asks(server):
    said = {"model": "nova-2", "language": "en-US", "tag": "txn_1"}
    switches = {"diarize": True, "punctuate": True, "smart_format": True}
    accepted = await deepgram_sdk(server).transcribe_url(url=URL, callback=CALLBACK, **said, **switches)
    assert isinstance(accepted, ListenV1AcceptedResponse)
    async with asked_by_us(Deepgram, server) as deepgram:
        placed = await deepgram.place(an_order(url=URL, language="en-US", callback_url=CALLBACK))
    theirs, ours = server.asked
    assert as_sent(ours) == as_sent(theirs)
    assert placed.job_id != accepted.request_id


@pytest.mark.filterwarnings("ignore:The `parse_obj`", "ignore:The `dict` method")  # of the SDK itself
@pytest.mark.parametrize("server", [FakeAssemblyAI], indirect=True)
@pytest.mark.parametrize(
    ("wished", "order"),
    [
        ({"language_code": "en_us", "speaker_labels": True, "speakers_expected": 2}, {"language": "en_us", "num_speakers": 2}),
        ({"language_detection": True, "multichannel": True}, {"multichannel": True}),
        ({"language_detection": True, "word_boost": list(VOCABULARY)}, {"diarization": False, "vocabulary": VOCABULARY}),
    ],
)
async def test_assemblyai_is_sent_audio_and_orders_as_its_sdk_sends_them(server, wished, order):
    usual = {"punctuate": True, "format_text": True, "speech_model": "best"}
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": KEY}) as client:
        uploaded = await async_api.upload_file(client, AUDIO)
        request = assemblyai.types.TranscriptRequest(audio_url=uploaded, **usual, **wished)
        await async_api.create_transcript(client, request)
    async with asked_by_us(AssemblyAI, server) as adapter:
        placed = await adapter.place(an_order(**order))
        await adapter.collect(an_order(**order), placed.job_id)
    their_upload, theirs, our_upload, _, ours = server.asked
    assert (as_sent(our_upload), our_upload.body) == (as_sent(their_upload), their_upload.body)
    assert ours.json.pop("audio_url") != theirs.json.pop("audio_url")  # each its own
    assert as_sent(ours) == as_sent(theirs)


@pytest.mark.parametrize("server", [FakeElevenLabs], indirect=True)
@pytest.mark.parametrize(
    ("wished", "order"),
    [
        ({"language_code": "eng", "num_speakers": 2, "diarize": True}, {"language": "eng", "num_speakers": 2}),
        (
            {"diarize": False, "use_multi_channel": True, "multichannel_output_style": "combined"},
            {"multichannel": True, "num_speakers": 2},  # it takes one of the two
        ),
        ({"diarize": False, "keyterms": list(VOCABULARY)}, {"diarization": False, "vocabulary": VOCABULARY}),
    ],
)
async def test_elevenlabs_is_sent_audio_as_its_sdk_sends_it(server, wished, order):
    usual = {"model_id": "scribe_v1", "timestamps_granularity": "word", "tag_audio_events": False}
    sdk = AsyncElevenLabs(api_key=KEY, base_url=server.url).speech_to_text
    await sdk.convert(file=("a.ogg", AUDIO, "audio/ogg"), **usual, **wished)
    async with asked_by_us(ElevenLabs, server) as elevenlabs:
        await elevenlabs.place(an_order(**order))
    theirs, ours = server.asked
    assert as_sent(ours) == as_sent(theirs)
    assert ours.form == said_in(theirs.form)
    assert [value for name, value in ours.pairs if name == "keyterms"] == wished.get("keyterms", [])
    assert [value for name, value in theirs.pairs if name == "keyterms"] == wished.get("keyterms", [])


@pytest.mark.parametrize("server", [FakeElevenLabs], indirect=True)
async def test_elevenlabs_is_told_where_audio_lies_and_to_answer_later_as_its_sdk_tells_it(server):
    usual = {"model_id": "scribe_v1", "timestamps_granularity": "word", "tag_audio_events": False, "diarize": True}
    later = {"webhook": True, "webhook_metadata": {"reference": "txn_1"}}
    await AsyncElevenLabs(api_key=KEY, base_url=server.url).speech_to_text.convert(source_url=URL, **usual, **later)
    async with asked_by_us(lambda http: ElevenLabs(http, asynchronous=True), server) as elevenlabs:
        await elevenlabs.place(an_order(url=URL))
    theirs, ours = server.asked
    assert as_sent(ours) == as_sent(theirs)
    metadata = [json.loads(asked.form.pop("webhook_metadata")) for asked in (ours, theirs)]
    assert metadata == [{"reference": "txn_1"}] * 2
    assert ours.form == said_in(theirs.form)


@pytest.mark.filterwarnings("ignore:The `parse_obj`")  # of the SDK itself
@pytest.mark.parametrize("server", [FakeAssemblyAI], indirect=True)
async def test_assemblyai_is_told_to_delete_as_its_sdk_tells_it(server):
    for job_id in ("1", "2"):
        server.jobs[job_id] = {"asked": {"audio_url": URL}, "looks": 3}
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": KEY}) as client:
        deleted = await async_api.delete_transcript(client, "1")
    assert deleted.id == "1"
    async with asked_by_us(AssemblyAI, server) as assemblyai:
        await assemblyai.forget(KEY, "2")
        await assemblyai.forget(KEY, "2")  # gone already
        assert not assemblyai.keeps("upload:https://cdn.example/upload/1")
    theirs, ours, _ = server.asked
    assert server.deleted == ["1", "2"]
    assert as_sent(ours) == (theirs.method, theirs.path.replace("1", "2"), *as_sent(theirs)[2:])


@pytest.mark.parametrize("server", [FakeElevenLabs], indirect=True)
async def test_elevenlabs_is_told_to_delete_as_its_sdk_tells_it(server):
    for transcription_id in ("tr_1", "tr_2"):
        server.kept[transcription_id] = (0, {})
    await AsyncElevenLabs(api_key=KEY, base_url=server.url).speech_to_text.transcripts.delete("tr_1")
    async with asked_by_us(ElevenLabs, server) as elevenlabs:
        await elevenlabs.forget(KEY, "tr_2")
        await elevenlabs.forget(KEY, "tr_2")  # gone already
    theirs, ours, _ = server.asked
    assert server.deleted == ["tr_1", "tr_2"]
    assert as_sent(ours) == (theirs.method, theirs.path.replace("tr_1", "tr_2"), *as_sent(theirs)[2:])


@pytest.mark.parametrize("server", [FakeElevenLabs], indirect=True)
async def test_the_server_reads_a_form_whole_however_the_network_cuts_it(server):
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.ogg"\r\n\r\n' + AUDIO * 20 + b"\r\n--x--\r\n"
    head = (
        "POST /v1/speech-to-text HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(form)}\r\n\r\n"
    )
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    audio = form.index(AUDIO)
    for piece in (head.encode() + form[: audio + 1], form[audio + 1 : audio + 2], form[audio + 2 :]):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)
    await reader.read()
    writer.close()
    assert server.asked[0].form["file"][2] == AUDIO * 20
