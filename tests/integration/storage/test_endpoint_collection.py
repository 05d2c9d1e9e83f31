"""Webhook endpoints: one suite over the fake and over MongoDB."""

import asyncio

import pytest

from shared.domain.errors import AlreadyExists
from shared.domain.transition import VersionConflict
from shared.domain.webhook import MAX_ENDPOINTS
from shared.storage.mongo import Mongo
from shared.storage.webhook_endpoints import WebhookEndpoints
from tests.fakes.sealing import a_sealing
from tests.fakes.webhook_facts import TENANT, an_endpoint
from tests.fakes.webhook_stores import FakeEndpoints

DEADLINE_S = 5.0


@pytest.fixture(params=["fake", "mongodb"])
async def endpoints(request):
    """An empty collection."""
    if request.param == "fake":
        yield FakeEndpoints()
        return
    mongo = Mongo(request.getfixturevalue("mongo_settings"))
    endpoints = WebhookEndpoints(mongo, a_sealing())
    await endpoints.ensure_indexes()
    yield endpoints
    mongo.close()


@pytest.mark.parametrize("deleted", [False, True])
async def test_an_endpoint_is_added_once_even_if_it_was_deleted_since(endpoints, deleted):
    endpoint = an_endpoint("https://a.example/")
    assert await endpoints.add(endpoint)
    if deleted:
        assert await endpoints.remove(TENANT, endpoint.id)
    with pytest.raises(AlreadyExists):
        async with asyncio.timeout(DEADLINE_S):
            await endpoints.add(endpoint)
    assert await endpoints.get(TENANT, endpoint.id) == (None if deleted else endpoint)


async def test_a_deleted_endpoint_is_gone_from_reads_and_takes_no_change(endpoints):
    endpoint = an_endpoint("https://a.example/")
    await endpoints.add(endpoint)
    assert await endpoints.remove(TENANT, endpoint.id)
    assert not await endpoints.remove(TENANT, endpoint.id)
    assert (await endpoints.get(TENANT, endpoint.id), await endpoints.page(TENANT, 10)) == (None, [])
    with pytest.raises(VersionConflict):
        await endpoints.save(endpoint, endpoint.changed(description="late"))


async def test_deleted_endpoints_make_room_for_others(endpoints):
    made = [an_endpoint("https://a.example/") for _ in range(MAX_ENDPOINTS)]
    assert all(await asyncio.gather(*map(endpoints.add, made)))
    assert not await endpoints.add(an_endpoint("https://b.example/"))
    assert await endpoints.remove(TENANT, made[7].id)
    assert await endpoints.add(an_endpoint("https://b.example/"))
    assert len(await endpoints.page(TENANT, 200)) == MAX_ENDPOINTS
