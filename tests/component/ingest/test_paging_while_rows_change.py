"""Pages while rows are inserted and deleted, over fakes; `integration/ingest` has the same on real servers."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.conformance import operations
from tests.walking import LISTS, WALKS, Rows, check_walk


def test_every_paged_list_is_walked():
    paged = {
        described["operationId"]
        for _, _, described in operations()
        if "cursor" in {parameter["name"] for parameter in described.get("parameters", ())}
    }
    assert {listing.operation for listing in LISTS} == paged


# One application serves all examples; each has a project of its own.
@pytest.mark.parametrize("listing", LISTS, ids=lambda listing: listing.path)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(walk=WALKS)
async def test_a_row_that_stood_throughout_is_seen_once(api, listing, walk):
    async def deliver(delivery):
        await api.stores.deliveries.add_new([delivery])

    await check_walk(await Rows(api, listing, deliver).open(), walk)


async def test_a_cursor_continues_no_other_list(api):
    await api.recording()
    await api.recording()
    cursor = (await api.ok("GET", "/recordings?limit=1"))["next_cursor"]
    for path in ("/end-users", "/devices", "/transcriptions", "/webhook-endpoints"):
        status, code, error = await api.refused("GET", f"{path}?cursor={cursor}")
        assert (status, code, error["param"]) == (400, "invalid_request", "cursor"), path


async def test_a_cursor_of_the_other_mode_is_refused(api):
    await api.recording()
    await api.recording()
    cursor = (await api.ok("GET", "/recordings?limit=1"))["next_cursor"]
    test_key = await api.new_key(api.project_id, mode="test")
    assert (await api.refused("GET", f"/recordings?cursor={cursor}", secret=test_key))[:2] == (400, "invalid_request")
