"""What parts of the platform meet each other in."""

import asyncio

import pytest

from shared.storage.mongo import Mongo

CLOSED_WITHIN_S = 30.0  # a client waits for an answer for half of that


@pytest.fixture
async def mongo(mongo_settings):
    """An empty database."""
    mongo = Mongo(mongo_settings)
    yield mongo
    mongo.close()


@pytest.fixture(scope="module", autouse=True)
async def closed_clients():
    """No client of Kafka's is left open, in whatever way its broker went: it would look for that for as long as we live."""
    yield
    async with asyncio.timeout(CLOSED_WITHIN_S):
        while clients := [task for task in asyncio.all_tasks() if "aiokafka" in task.get_coro().cr_code.co_filename]:
            await asyncio.wait(clients, timeout=0.1)
