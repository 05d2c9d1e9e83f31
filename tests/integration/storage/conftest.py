"""Collections over a real MongoDB and over their fakes."""

import pytest

from shared.storage.mongo import Mongo
from shared.storage.recordings import Recordings
from tests.fakes.ingest import FakeRecordings


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
