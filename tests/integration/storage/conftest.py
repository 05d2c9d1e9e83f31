"""Collections over a real MongoDB and over their fakes, and a client of a store that answers by script."""

import pytest

from shared.storage.mongo import Mongo
from shared.storage.objects import ObjectStore
from shared.storage.recordings import Recordings
from tests.fakes.ingest import FakeRecordings
from tests.integration.storage.scripted_store import scripted_store


@pytest.fixture
async def server():
    """A store that answers by script."""
    async with scripted_store() as server:
        yield server


@pytest.fixture
async def store(server):
    """Our client of it."""
    store = ObjectStore(server.settings)
    await store.start()
    yield store
    await store.stop()


@pytest.fixture(params=["mongodb", "fake"])
async def recordings(request):
    """An empty collection."""
    if request.param == "fake":
        yield FakeRecordings()
        return
    mongo = Mongo(request.getfixturevalue("mongo_settings"))
    recordings = Recordings(mongo)
    await recordings.ensure_indexes()
    yield recordings
    mongo.close()
