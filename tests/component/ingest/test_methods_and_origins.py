"""HEAD, OPTIONS, requests from browsers, requests out of proportion, and compressed ones."""

import msgspec
import pytest

from services.ingest.settings import ApiSettings
from tests.fakes.ingest import API_SETTINGS, Api, fake_stores

ORIGIN = "https://app.example.com"
MISSING = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
CHUNK = f"rec_{MISSING}/chunks/1?project=proj_{MISSING}&mode=live&expires=1&signature={'0' * 64}"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture
async def readable():
    """The API that lets one origin read its answers."""
    api = await Api(fake_stores(), msgspec.structs.replace(API_SETTINGS, cors_origins=(ORIGIN, "http://localhost:3000"))).open()
    yield api
    await api.client.aclose()


@pytest.mark.parametrize("path", ["/recordings", "/recordings/{id}", "/health"])
async def test_head_answers_as_get_without_a_body(api, path):
    url = f"{api.url}/health" if path == "/health" else path.replace("{id}", (await api.recording())["id"])
    get, head = await api.call("GET", url), await api.call("HEAD", url)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers["content-type"] == get.headers["content-type"]


async def test_head_where_there_is_no_get_is_refused_without_a_body(api):
    response = await api.call("HEAD", "/transcriptions/txn_1/export/x", secret="")
    assert (response.status_code, response.content) == (404, b"")
    response = await api.call("HEAD", f"/recordings/{(await api.recording())['id']}/finalize")
    assert (response.status_code, response.content) == (405, b"")


@pytest.mark.parametrize("path", ["/recordings", "/recordings/rec_1/upload-url"])
async def test_options_is_refused_in_the_envelope_when_no_origin_is_named(api, path):
    for headers in ({}, PREFLIGHT):
        response = await api.call("OPTIONS", path, secret="", headers=headers)
        assert response.status_code == 405
        assert response.json()["error"]["code"] == "method_not_allowed"
        assert "OPTIONS" not in response.headers["allow"]
        assert not [name for name in response.headers if name.startswith("access-control")]


async def test_a_wrong_method_is_told_the_right_ones(api):
    response = await api.call("DELETE", "/recordings")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_a_preflight_of_a_named_origin_is_answered(readable):
    response = await readable.call("OPTIONS", "/recordings", secret="", headers=PREFLIGHT)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["vary"] == "Origin"
    assert "POST" in response.headers["access-control-allow-methods"]
    sent = {"Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-Id", "Bota-Version"}
    assert sent <= set(response.headers["access-control-allow-headers"].split(", "))
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/recordings", 200), ("GET", "/nowhere", 404), ("POST", "/recordings", 400)]
)
async def test_every_answer_to_a_named_origin_can_be_read_with_its_headers(readable, method, path, status):
    response = await readable.call(method, path, headers={"Origin": ORIGIN})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (status, ORIGIN)
    exposed = set(response.headers["access-control-expose-headers"].lower().split(", "))
    assert {"x-request-id", "x-ratelimit-remaining", "retry-after", "idempotency-replayed"} <= exposed


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/recordings", b"{", 400),
        ("PUT", f"/recordings/{CHUNK}", b"x", 403),
        ("GET", "/recordings?q=" + "x" * 8200, None, 414),
        ("GET", "/" + "x" * 8200, None, 414),
        ("POST", "/recordings", b'"' + b"x" * (1024 * 1024) + b'"', 413),
        ("DELETE", "/recordings", None, 405),
    ],
)
async def test_what_is_refused_past_the_framework_can_be_read_by_a_named_origin_too(readable, method, path, body, status):
    response = await readable.call(method, path, body, headers={"Origin": ORIGIN})
    assert (response.status_code, response.headers.get_list("access-control-allow-origin")) == (status, [ORIGIN])


async def test_a_refusal_of_too_many_headers_can_be_read_too(readable):
    headers = {"Origin": ORIGIN} | {f"x-{number}": "1" for number in range(101)}
    response = await readable.call("GET", "/recordings", headers=headers)
    assert (response.status_code, response.headers.get_list("access-control-allow-origin")) == (431, [ORIGIN])


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://app.example.com.evil.example", "null", "http://app.example.com"]
)
async def test_any_other_origin_hears_nothing_of_it(readable, origin):
    response = await readable.call("GET", "/recordings", headers={"Origin": origin})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]
    preflight = await readable.call("OPTIONS", "/recordings", secret="", headers=PREFLIGHT | {"Origin": origin})
    assert preflight.status_code == 405


@pytest.mark.parametrize(("origins", "allowed"), [((ORIGIN, "null"), [ORIGIN]), (("null", ORIGIN), [])])
async def test_of_two_origins_the_first_counts_as_everywhere(readable, origins, allowed):
    headers = [("Origin", origin) for origin in origins]
    response = await readable.client.get(f"{readable.url}/v1/nowhere", headers=headers)
    assert response.headers.get_list("access-control-allow-origin") == allowed


async def test_a_star_lets_every_origin_read():
    api = Api(fake_stores(), msgspec.structs.replace(API_SETTINGS, cors_origins=("*",)))
    response = await api.call("GET", "/nowhere", headers={"Origin": "https://any.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    await api.client.aclose()


@pytest.mark.parametrize("origin", ["app.example.com", "https://app.example.com/", "https://a b", "ftp://a", ""])
def test_an_origin_that_no_browser_sends_stops_the_start(origin):
    with pytest.raises(ValueError, match="EARWITNESS_CORS_ORIGINS"):
        ApiSettings(public_url="http://a", admin_token="x" * 16, signing_secret="x" * 16, cors_origins=(origin,))


async def test_answers_are_never_compressed(api):
    response = await api.call("GET", "/recordings", headers={"Accept-Encoding": "gzip, br, deflate, zstd"})
    assert "content-encoding" not in response.headers


async def test_too_many_headers_are_refused_with_the_limit(api):
    status, code, error = await api.refused("GET", "/recordings", headers={f"x-{number}": "1" for number in range(101)})
    assert (status, code) == (431, "headers_too_large")
    assert "100 headers" in error["message"]


@pytest.mark.parametrize(
    ("path", "limit"), [("/recordings?q=" + "x" * 8200, "8192 bytes"), ("/" + "x" * 8200, "8192 characters")]
)
async def test_a_url_that_is_too_long_is_refused_with_the_limit(api, path, limit):
    status, code, error = await api.refused("GET", path)
    assert (status, code) == (414, "url_too_long")
    assert limit in error["message"]


async def test_sizes_in_a_body_are_refused_with_the_limit(api):
    user = await api.someone()
    for fields, limit in [
        ({"name": "x" * 256}, "255"),
        ({"metadata": {"a": "x" * 17_000}}, "16384 bytes"),
        ({"metadata": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": [1]}}}}}}}}}, "8 levels"),
    ]:
        status, code, error = await api.refused("POST", "/recordings", {"end_user_id": user, **fields})
        assert (status, code, error["param"]) == (400, "invalid_request", next(iter(fields)))
        assert limit in error["message"]
    status, code, error = await api.refused("POST", "/recordings", b'"' + b"x" * (1024 * 1024) + b'"')
    assert (status, code) == (413, "payload_too_large")
    assert "1048576 bytes" in error["message"]


async def test_headers_may_be_as_many_bytes_together_as_the_refusal_says(api):
    status, code, error = await api.refused("GET", "/recordings", headers={"x-long": "1" * 65_536})
    assert (status, code) == (431, "headers_too_large")
    assert "65536 bytes" in error["message"]
    assert (await api.call("GET", "/recordings", headers={"x-long": "1" * 65_000})).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "identity, br"])
async def test_a_compressed_body_is_refused_at_once_and_nothing_is_stored(api, coding):
    recording = await api.recording(streaming=True)
    url = recording["chunk_upload_url_template"].format(chunk_number=1)
    answer = await api.client.put(url, content=b"packed", headers={"Content-Encoding": coding})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    assert (await api.ok("GET", f"/recordings/{recording['id']}/chunks"))["data"] == []
    status, code, error = await api.refused("POST", "/recordings", {}, headers={"Content-Encoding": coding})
    assert (status, code) == (415, "unsupported_media_type")
    assert coding.rpartition(" ")[2].lower() in error["message"]


@pytest.mark.parametrize("coding", ["identity", "utf-8", ""])
async def test_a_coding_that_changes_nothing_is_passed_over(api, coding):
    await api.ok("GET", "/recordings", headers={"Content-Encoding": coding})


async def test_where_there_is_no_body_its_coding_does_not_matter(api):
    await api.ok("GET", "/recordings", headers={"Content-Encoding": "gzip"})
