"""Every answer that is not 2xx is the envelope, every answer carries a request id (contract A4)."""

import json

import pytest

from services.ingest import refusals
from services.ingest.limits import MAX_BODY_BYTES
from services.ingest.problems import problem_of
from services.ingest.refusals import Refused
from shared.domain.errors import TransientFailure
from shared.domain.transition import TransitionRefused


def assert_envelope(response, status, code):
    body = response.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert (response.status_code, error["code"], error["type"]) == (status, code, code)
    assert error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    assert set(error) <= {"code", "type", "message", "param", "details", "request_id"}
    return error


@pytest.mark.parametrize("path", ["/nothing", "/v2/recordings", "/", "/v1/recordings/a/b/c", "/v1/summaries", "/docs.php"])
async def test_what_is_not_there_is_404(api, path):
    assert_envelope(await api.call("GET", f"http://api.test{path}"), 404, "not_found")


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/recordings"), ("DELETE", "/transcriptions"), ("PUT", "/webhooks")])
async def test_a_method_that_is_not_served_is_405_and_says_which_are(api, method, path):
    response = await api.call(method, path)
    assert_envelope(response, 405, "method_not_allowed")
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"end_user_id": NaN}',
        b'{"end_user_id": "a", "x": Infinity}',
        b'{"end_user_id": "a", "end_user_id": "b"}',
        b'{"end_user_id": "a", "metadata": {"k": 1, "k": 2}}',
        b'{"end_user_id": "a\\u0000"}',
        b'{"end_user_id": "\\ud800"}',
        b'{"end_user_id": "\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"end_user_id": ' + b"1" * 5000 + b"}",
        b"[" * 50_000,
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b'{"end_user_id": "a",}',
    ],
)
async def test_a_body_that_is_not_good_json_is_400(api, body):
    assert_envelope(await api.call("POST", "/recordings", body), 400, "invalid_request")


async def test_a_duplicate_key_is_named(api):
    error = assert_envelope(await api.call("POST", "/recordings", b'{"name": 1, "name": 2}'), 400, "invalid_request")
    assert error["param"] == "name"


async def test_a_body_over_the_limit_is_413_and_says_the_limit(api):
    body = json.dumps({"end_user_id": "x" * MAX_BODY_BYTES}).encode()
    error = assert_envelope(await api.call("POST", "/recordings", body), 413, "payload_too_large")
    assert str(MAX_BODY_BYTES) in error["message"]


@pytest.mark.parametrize("given", ["req_01ABC", "a-b_c.d:e", "x" * 128])
async def test_a_well_formed_request_id_is_echoed(api, given):
    response = await api.call("GET", "/recordings", headers={"X-Request-Id": given})
    assert response.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "é"])
async def test_any_other_is_replaced(api, given):
    response = await api.call("GET", "/recordings", headers={"X-Request-Id": given.encode()})
    (request_id,) = response.headers.get_list("x-request-id")
    assert request_id.startswith("req_")


async def test_when_a_store_is_down_it_is_503_and_says_when_to_come_again(api):
    someone = await api.someone()
    api.stores.recordings.down = True
    response = await api.call("POST", "/recordings", {"end_user_id": someone})
    assert_envelope(response, 503, "service_unavailable")
    assert int(response.headers["retry-after"]) > 0


async def test_our_own_fault_is_500_and_says_nothing_of_itself(api):
    page = api.stores.recordings.page
    api.stores.recordings.page = None
    try:
        error = assert_envelope(await api.call("GET", "/recordings"), 500, "internal_error")
    finally:
        api.stores.recordings.page = page
    assert "NoneType" not in json.dumps(error)


def kinds_of(base):
    return [kind for child in base.__subclasses__() for kind in (child, *kinds_of(child))]


@pytest.mark.parametrize("kind", kinds_of(Refused))
def test_every_refusal_has_a_status_and_a_code(kind):
    problem = problem_of(kind("why"))
    assert 400 <= problem.status < 500
    assert problem.message == "why"


def test_refusals_that_only_time_can_change_ask_to_come_again():
    asking = {kind for kind in kinds_of(Refused) if "Retry-After" in problem_of(kind("why")).headers}
    named = {refusals.VerificationPending, refusals.IdempotencyInProgress, refusals.RateLimitExceeded, refusals.TooManyStreams}
    assert asking == named
    assert all(kind.may_pass for kind in asking)


def test_errors_of_the_domain_have_their_place():
    assert problem_of(TransientFailure("x")).status == 503
    assert problem_of(TransitionRefused("rec_1", "failed", "uploaded")).status == 409
    assert problem_of(KeyError("x")).code == "internal_error"


async def test_health_is_public_and_in_the_form_that_clients_read(api):
    response = await api.call("GET", "http://api.test/health", secret="")
    assert (response.status_code, response.json()) == (
        200,
        {"status": "healthy", "database": "connected", "billing": "disabled"},
    )
    api.stores.recordings.down = True
    response = await api.call("GET", "http://api.test/health", secret="")
    assert (response.status_code, response.json()["status"]) == (503, "unhealthy")


@pytest.mark.parametrize(("path", "holds"), [("/health/live", "alive"), ("/health/ready", "ready"), ("/metrics", "earwitness_")])
async def test_operations_are_served_beside_the_api(api, path, holds):
    response = await api.call("GET", f"http://api.test{path}", secret="")
    assert response.status_code == 200
    assert holds in response.text
    assert "x-request-id" in response.headers


async def test_a_request_is_counted_by_its_route_not_its_path(api):
    recording = await api.recording()
    await api.ok("GET", f"/recordings/{recording['id']}")
    counted = (await api.call("GET", "http://api.test/metrics", secret="")).text
    assert 'route="/v1/recordings/{recording_id}",status="200"' in counted
    assert recording["id"] not in counted
