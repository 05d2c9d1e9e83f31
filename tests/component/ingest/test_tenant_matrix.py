"""Every operation by every kind of credential: exactly the expected status, and no sign of what is another's."""

import msgspec
import pytest

from tests.conformance import operations
from tests.fakes.ingest import API_SETTINGS, Api, fake_stores
from tests.tenant_matrix import check_crossed, check_filters, check_owner, check_strangers
from tests.tenants import World

OPERATIONS = operations()
SIGNED = [operation for operation in OPERATIONS if operation[2]["x-credentials"] == ["signed_url"]]
ANSWERED = [operation for operation in OPERATIONS if operation[2]["x-credentials"] == ["callback_token"]]


def each(found):
    return pytest.mark.parametrize("operation", [pytest.param(item, id=item[2]["operationId"]) for item in found])


@pytest.fixture(scope="module")
async def world():
    """Two projects over fakes, opened once."""
    api = Api(fake_stores(), msgspec.structs.replace(API_SETTINGS, webhooks_test_wait_s=0))
    yield await (await World(api).open()).furnish()
    await api.client.aclose()


@each(OPERATIONS)
async def test_strangers_are_answered_exactly_so_and_find_nothing_of_ours(world, operation):
    await check_strangers(world, operation)


@each(OPERATIONS)
async def test_a_filter_by_what_is_anothers_finds_as_little_as_one_by_what_is_not_there(world, operation):
    await check_filters(world, operation)


@each([operation for operation in OPERATIONS if operation[1].count("_id}") > 1])
async def test_what_hangs_on_another_thing_is_not_found_by_way_of_ones_own(world, operation):
    await check_crossed(world, operation)


@each([operation for operation in OPERATIONS if operation[2]["operationId"] != "live_follow"])  # on a socket, in integration/
async def test_its_owner_succeeds_with_every_credential_that_it_takes(world, operation):
    await check_owner(world, operation)


@each(SIGNED)
async def test_a_signed_url_opens_one_recording(world, operation):
    query = world.other_template.partition("?")[2]
    path = world.api.url + operation[1].format_map(world.ids | {"chunk_number": "1"})
    for url in (path, f"{path}?{query}", f"{path}?{query[:-1]}x"):
        assert (await world.api.call("PUT", url, b"x", secret=world.credentials["own key"])).status_code == 403
    assert (await world.api.client.put(world.template.replace("{chunk_number}", "1"), content=b"x")).status_code == 200
