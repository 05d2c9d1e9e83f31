"""The platform under test, a project of each test's own in it, and a customer's server that listens."""

from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import numpy as np
import pytest

from deploy.local.demo.speech import RATE, samples_of
from deploy.local.sample_speech import PAUSE_S
from deploy.local.servers.ports import free_port
from deploy.local.servers.server import start_all
from deploy.local.stack import SERVICE_DEADLINE_S
from tests.e2e.client import Client, Project
from tests.e2e.evidence import Evidence
from tests.fakes.speech_providers import KEY, FakeAssemblyAI, FakeDeepgram
from tests.fakes.webhook_receiver import Receiver
from tests.speech import real_conversation, real_speech, whisper_model
from tests.stack import RunningStack

ASSEMBLYAI_PORT, DEEPGRAM_PORT = free_port(), free_port()
__all__ = ["real_conversation", "real_speech", "whisper_model"]


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """One client's connections."""
    timeout = aiohttp.ClientTimeout(total=30, sock_connect=5)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield session


@pytest.fixture(scope="session")
def speech(real_speech):
    """Half a minute of a human voice as samples."""
    return samples_of(real_speech.path)


@pytest.fixture(scope="session")
def sentence(speech, real_speech):
    """The first sentence of it, with its text."""
    quiet = np.convolve(speech == 0, np.ones(round(PAUSE_S * RATE)), "valid")
    end = int(np.argmax(quiet == round(PAUSE_S * RATE)))
    return speech[:end], real_speech.text.partition(" he was not")[0]


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """All four services as processes; tests that stop or kill members take `fragile`. It ends with the last of these tests."""
    running = RunningStack(tmp_path_factory.mktemp("stack"))
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture(scope="package")
def evidence(stack: RunningStack) -> Iterator[Evidence]:
    """The insides of the shared stack."""
    inside = Evidence(stack)
    yield inside
    inside.close()


@pytest.fixture
def project(stack: RunningStack, http: aiohttp.ClientSession) -> Project:
    """A project of the test's own in the shared stack."""
    return new_project(stack, http)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A customer's server that takes everything."""
    one = await Receiver().start()
    yield one
    await one.stop()


@pytest.fixture(scope="package")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A second stack, for tests that stop and kill its members; take `fragile`, which mends it afterwards."""
    extra = {
        "EARWITNESS_SHUTDOWN_GRACE_S": "4",
        "EARWITNESS_CLOUD_PROVIDERS": "assemblyai,deepgram",
        "EARWITNESS_ASSEMBLYAI_URL": f"http://127.0.0.1:{ASSEMBLYAI_PORT}",  # nobody is there, until a test answers
        "EARWITNESS_ASSEMBLYAI_API_KEY": KEY,
        "EARWITNESS_DEEPGRAM_URL": f"http://127.0.0.1:{DEEPGRAM_PORT}",
        "EARWITNESS_DEEPGRAM_API_KEY": KEY,
    }
    running = RunningStack(tmp_path_factory.mktemp("breakable"), extra)
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture
def fragile(breakable: RunningStack) -> Iterator[RunningStack]:
    """A stack to break: whole before the test and whole again after it."""
    yield breakable
    start_all([member for member in breakable.stack.members.values() if member.child.pid is None], SERVICE_DEADLINE_S)


@pytest.fixture
async def assemblyai() -> AsyncIterator[FakeAssemblyAI]:
    """The provider to which the breakable stack sends what it is to transcribe."""
    async with FakeAssemblyAI().running(ASSEMBLYAI_PORT) as provider:
        yield provider


@pytest.fixture
async def deepgram() -> AsyncIterator[FakeDeepgram]:
    """Another one, which sends its answers to the stack's own API."""
    async with FakeDeepgram().running(DEEPGRAM_PORT) as provider:
        yield provider


@pytest.fixture
def inside(fragile: RunningStack) -> Iterator[Evidence]:
    """The insides of the stack to break."""
    looking = Evidence(fragile)
    yield looking
    looking.close()


@pytest.fixture
def customer(fragile: RunningStack, http: aiohttp.ClientSession) -> Project:
    """A project in the stack to break, whose client is patient as devices are."""
    return new_project(fragile, http, patient=True)


@pytest.fixture
def project_in(http: aiohttp.ClientSession) -> Callable[..., Project]:
    """Makes a project in a stack; a patient one retries as devices do."""

    def make(running: RunningStack, *, patient: bool = False) -> Project:
        return new_project(running, http, patient=patient)

    return make


def new_project(running: RunningStack, http: aiohttp.ClientSession, *, patient: bool = False) -> Project:
    project_id, key = running.new_project()
    return Project(Client(http, running.api_url, key, patient=patient), project_id)
