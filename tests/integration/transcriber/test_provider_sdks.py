"""The providers' own Python SDKs and our adapters ask the same of the same server: callbacks, and the deletion of copies."""

import contextlib

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

URL, CALLBACK = "https://store.example/a.ogg", "https://api.example/v1/provider-callbacks/deepgram/cbk_0"


@contextlib.asynccontextmanager
async def asked_by_us(adapter, server):
    """Our adapter on the server; its connection is closed after."""
    http = ProviderHttp("p", server.url)
    yield adapter(http)
    await http.close()


def as_sent(asked):
    """What of a request means something."""
    named = {name.lower(): value for name, value in asked.headers.items()}
    return asked.method, asked.path, asked.query, asked.json, named.get("authorization"), named.get("xi-api-key")


@pytest.fixture(params=[FakeDeepgram, FakeAssemblyAI, FakeElevenLabs])
async def server(request):
    async with request.param().running() as running:
        yield running


@pytest.mark.filterwarnings("ignore:websockets")  # of what the SDK imports
@pytest.mark.parametrize("server", [FakeDeepgram], indirect=True)
async def test_deepgram_is_asked_for_a_callback_as_its_sdk_asks(server):
    environment = DeepgramClientEnvironment(base=server.url, production=server.url, agent=server.url, agent_rest=server.url)
    said = {"model": "nova-2", "language": "en-US", "tag": "txn_1"}
    switches = {"diarize": True, "punctuate": True, "smart_format": True}
    media = AsyncDeepgramClient(api_key=KEY, environment=environment).listen.v1.media
    accepted = await media.transcribe_url(url=URL, callback=CALLBACK, **said, **switches)
    assert isinstance(accepted, ListenV1AcceptedResponse)
    audio = AudioSource(content_type="audio/ogg", filename="a.ogg", size_bytes=1, open=lambda: None, url=URL)
    order = SpeechOrder(reference="txn_1", api_key=KEY, audio=audio, duration_ms=1, language="en-US", callback_url=CALLBACK)
    async with asked_by_us(Deepgram, server) as deepgram:
        placed = await deepgram.place(order)
    theirs, ours = server.asked
    assert as_sent(ours) == as_sent(theirs)
    assert placed.job_id != accepted.request_id


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
