"""Pages by cursor while rows are inserted and deleted, over fakes; `integration/ingest` has the same on real servers."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.walking import LISTS, WALKS, Rows, check_walk


# One application serves all examples; each has a project of its own.
@pytest.mark.parametrize("listed", LISTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=WALKS)
async def test_a_row_that_stood_throughout_is_seen_once(api, listed, walk):
    await check_walk(await Rows(api, listed).open(), walk)


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
