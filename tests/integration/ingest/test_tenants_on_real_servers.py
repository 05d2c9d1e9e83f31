"""The tenant matrix once more, on real stores: each operation by each kind of credential, exactly as over fakes."""

import pytest

from tests.conformance import operations
from tests.tenant_matrix import check_crossed, check_filters, check_owner, check_strangers, check_stream
from tests.tenants import World


@pytest.fixture
async def world(deployment):
    """Two projects on real servers."""
    async with deployment.replica(webhooks_test_wait_s=0) as api:
        yield await (await World(api).open()).furnish()


async def test_strangers_are_answered_exactly_so_and_find_nothing_of_ours(world):
    for operation in operations():
        await check_strangers(world, operation)
        await check_filters(world, operation)


async def test_what_hangs_on_another_thing_is_not_found_by_way_of_ones_own(world):
    for operation in operations():
        await check_crossed(world, operation)


async def test_its_owner_succeeds_with_every_credential_that_it_takes(world):
    for operation in operations():
        check = check_stream if operation[2]["operationId"] == "live_follow" else check_owner
        await check(world, operation)
