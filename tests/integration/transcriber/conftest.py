import pytest

from shared.storage.mongo import Mongo
from tests.fakes.speech_providers import FakeAssemblyAI, FakeDeepgram, FakeElevenLabs
from tests.integration.transcriber.remote_scene import Scene
from tests.integration.transcriber.speech_services import everywhere, hidden, running
from tests.speech import real_conversation, real_speech, voice_models, whisper_model

__all__ = ["real_conversation", "real_speech", "voice_models", "whisper_model"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep the keys of live services out of what is said of a test."""
    report = yield
    if report.longrepr is not None and (said := str(report.longrepr)) != hidden(said):
        report.longrepr = hidden(said)
    report.sections = [(name, hidden(text)) for name, text in report.sections]
    return report


@pytest.fixture(params=everywhere())
async def service(request, real_conversation, real_speech):
    """A speech service, at our own server and live."""
    async with running(*request.param, (real_conversation, real_speech)) as service:
        yield service


@pytest.fixture
async def providers():
    """A server for each provider on the network, by name."""
    async with (
        FakeDeepgram().running() as deepgram,
        FakeAssemblyAI().running() as assemblyai,
        FakeElevenLabs().running() as eleven,
    ):
        yield {"deepgram": deepgram, "assemblyai": assemblyai, "elevenlabs": eleven}


@pytest.fixture
async def workers(mongo_settings, tmp_path, providers):
    """Makes workers that order from these providers, all over one database."""
    mongo, made = Mongo(mongo_settings), []

    def worker(**rules):
        made.append(Scene(mongo, tmp_path, providers, **rules))
        return made[-1]

    await worker().ready()
    yield worker
    for scene in made:
        await scene.clouds.close()
    mongo.close()
