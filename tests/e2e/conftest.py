"""The platform under test, a project of each test's own in it, and a customer's server that listens."""

from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import pytest

from deploy.local.demo.speech import samples_of
from tests.e2e.client import Client, Project
from tests.e2e.evidence import Evidence
from tests.fakes.webhook_receiver import Receiver
from tests.speech import real_conversation, real_speech, whisper_model
from tests.stack import RunningStack

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


@pytest.fixture
def project_in(http: aiohttp.ClientSession) -> Callable[..., Project]:
    """Makes a project in a stack; a patient one retries as devices do."""

    def make(running: RunningStack, *, patient: bool = False) -> Project:
        return new_project(running, http, patient=patient)

    return make


def new_project(running: RunningStack, http: aiohttp.ClientSession, *, patient: bool = False) -> Project:
    project_id, key = running.new_project()
    return Project(Client(http, running.api_url, key, patient=patient), project_id)
