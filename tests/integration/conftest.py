"""What parts of the platform meet each other in."""

import pytest

from shared.storage.mongo import Mongo


@pytest.fixture
async def mongo(mongo_settings):
    """An empty database."""
    mongo = Mongo(mongo_settings)
    yield mongo
    mongo.close()
