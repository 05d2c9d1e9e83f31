"""What the contract names and leaves out answers as a path that is not there, whoever asks (contract A4, A24)."""

import pytest

from tests.component.ingest.test_error_envelope import assert_envelope
from tests.left_out import LEFT_OUT

SEARCH = "/recordings/search"


@pytest.mark.parametrize(("method", "path", "body"), LEFT_OUT)
async def test_it_is_404_in_the_envelope(api, method, path, body):
    response = await api.call(method, path, body)
    assert_envelope(response, 404, "not_found")
    assert "allow" not in response.headers


@pytest.mark.parametrize(("method", "path", "body"), [row for row in LEFT_OUT if row[:2] != ("GET", SEARCH)])
async def test_it_is_404_for_a_device_an_unknown_key_and_nobody_too(api, method, path, body):
    for secret in ((await api.bound_device())["device_token"], "sk_live_unknown", ""):
        assert_envelope(await api.call(method, path, body, secret=secret), 404, "not_found")


async def test_it_is_404_each_time_it_is_repeated_under_its_key(api):
    for _ in range(2):
        response = await api.call("POST", SEARCH, {"query": "a"}, headers={"Idempotency-Key": "search-1"})
        assert_envelope(response, 404, "not_found")
        assert "idempotency-replayed" not in response.headers


async def test_what_is_beside_it_is_still_the_wrong_method(api):
    recording = await api.recording()
    for path in (f"/recordings/{recording['id']}", "/recordings/searches", "/recordings/search%20"):
        assert_envelope(await api.call("POST", path, {}), 405, "method_not_allowed")
