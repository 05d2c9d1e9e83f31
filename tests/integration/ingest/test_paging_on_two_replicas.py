"""Pages by cursor while rows are inserted and deleted, on MongoDB; each page is read from another replica."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings

from tests.walking import LISTS, WALKS, Rows, check_walk


@pytest.fixture
async def replicas(deployment):
    """Two replicas of one deployment."""
    async with deployment.replica(key_cache_s=0) as one, deployment.replica(key_cache_s=0) as two:
        yield one, two


class SharedRows(Rows):
    """A list of which every page is asked of the replica whose turn it is."""

    def __init__(self, replicas, listed):
        super().__init__(replicas[0], listed)
        self.turn = itertools.cycle(replicas)

    async def page(self, limit, cursor):
        self.api = next(self.turn)
        return await super().page(limit, cursor)


@pytest.mark.parametrize("listed", LISTS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=WALKS)
async def test_a_row_that_stood_throughout_is_seen_once(replicas, listed, walk):
    await check_walk(await SharedRows(replicas, listed).open(), walk)
