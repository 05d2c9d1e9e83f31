"""Pages while rows are inserted and deleted, on MongoDB; each page is read from another replica."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings

from shared.storage.mongo import Mongo
from shared.storage.webhook_deliveries import WebhookDeliveries
from tests.walking import LISTS, WALKS, Rows, check_walk


@pytest.fixture
async def replicas(deployment):
    """Two replicas of one deployment."""
    async with deployment.replica(key_cache_s=0) as one, deployment.replica(key_cache_s=0) as two:
        yield one, two


@pytest.fixture
async def deliver(deployment):
    """What stores a delivery as the webhook stage does."""
    mongo = Mongo(deployment.mongo)
    deliveries = WebhookDeliveries(mongo)

    async def add(delivery):
        assert await deliveries.add_new([delivery])

    yield add
    mongo.close()


class SharedRows(Rows):
    """A list of which every page is asked of the replica whose turn it is."""

    def __init__(self, replicas, listing, deliver):
        super().__init__(replicas[0], listing, deliver)
        self.turn = itertools.cycle(replicas)

    async def page(self, limit, **place):
        self.api = next(self.turn)
        return await super().page(limit, **place)


@pytest.mark.parametrize("listing", LISTS, ids=lambda listing: listing.path)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(walk=WALKS)
async def test_a_row_that_stood_throughout_is_seen_once(replicas, deliver, listing, walk):
    await check_walk(await SharedRows(replicas, listing, deliver).open(), walk)
