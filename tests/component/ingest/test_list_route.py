"""The short way of listing recordings and the framework's give the same answers, headers, measures and log lines."""

import pytest

from shared.telemetry.logs import captured_lines
from tests.fakes.counts import counted

_OWN_HEADERS = {"x-request-id", "x-ratelimit-reset", "x-ratelimit-remaining"}
_OWN_OF_LINE = {"duration_ms", "request_id", "stack"}

QUERIES = [
    "",
    "limit=2",
    "limit=100",
    "limit=101",
    "limit=0",
    "limit=007",
    "limit=9999",
    "limit=x",
    "limit=",
    "limit=2&limit=2",
    "limit=2&offset=1",
    "offset=0",
    "offset=1000001",
    "offset=999999999",
    "offset=-1",
    "cursor=",
    "cursor=null",
    "cursor=bm90IG9uZSBvZiBvdXJz",
    "cursor=a",
    "status=pending",
    "status=failed",
    "status=Pending",
    "status=",
    "status=gone",
    "device_id=dev_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "device_id=",
    "device_id=%00",
    "device_id=$ne",
    "end_user_id=eu_01ARZ3NDEKTSV4RRFFQ69G5FAV&status=pending&limit=1",
    "end_user_id=eu_%41",
    "limit=2&",
    "&limit=2",
    "limit=2;offset=1",
    "LIMIT=2",
    "limit=%32",
    "limit=+2",
    "limit=\u0662",
]
CREDENTIALS = {
    "no credential": {"Authorization": ""},
    "another scheme": {"Authorization": "Basic eHg6eHg="},
    "an unknown key": {"Authorization": f"Bearer sk_live_{'x' * 40}"},
}


@pytest.fixture
async def someone(api):
    """An end user with three recordings."""
    someone = await api.someone()
    for name in ("one", "two", "three"):
        await api.call("POST", "/recordings", {"end_user_id": someone, "name": name})
    return someone


async def asked(api, query, headers, method="GET"):
    """Ask, and return the answer and the log line without what is each request's own, and how it was counted."""
    with captured_lines() as lines:
        answer = await api.call(method, f"/recordings?{query}", headers=headers)
    counts = counted("http_requests_total", method=method, route="/v1/recordings", status=str(answer.status_code))
    told = answer.content
    if answer.status_code != 200 and told:
        told = {**answer.json()["error"], "request_id": None}
    (line,) = (line for line in lines if line["event"] == "request.done")
    line = {name: value for name, value in line.items() if name not in _OWN_OF_LINE}
    shown = {name: value for name, value in answer.headers.items() if name not in _OWN_HEADERS}
    return (answer.status_code, told, shown, line), counts


async def alike(api, query, headers=None, method="GET"):
    """Ask both ways, assert that they do the same, and return the status."""
    short, before = await asked(api, query, headers or {}, method)
    general, after = await asked(api, f"way=general&{query}", headers or {}, method)
    assert short == general
    assert after == before + 1
    return short[0]


@pytest.mark.parametrize("query", QUERIES)
async def test_both_ways_answer_alike(api, someone, query):
    assert await alike(api, query) in {200, 400}


@pytest.mark.parametrize("query", ["", "limit=2", "limit=101"])
async def test_both_ways_tell_the_length_alike_to_whoever_wants_no_body(api, someone, query):
    await alike(api, query, method="HEAD")


@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_both_ways_refuse_alike(api, credential):
    assert await alike(api, "limit=2", CREDENTIALS[credential]) == 401


async def test_a_key_that_may_not_read_is_refused_alike(api):
    writer = {"Authorization": f"Bearer {await api.new_key(api.project_id, scopes=['recordings:write'])}"}
    assert await alike(api, "limit=2", writer) == 403


async def test_a_store_that_is_away_is_told_alike(api):
    api.stores.recordings.down = True
    assert await alike(api, "limit=2") == 503


async def test_cursors_of_one_way_continue_on_the_other(api, someone):
    seen, cursor = [], None
    for number in range(4):
        way = "way=general&" if number % 2 else ""
        page = (await api.call("GET", f"/recordings?{way}limit=1" + (f"&cursor={cursor}" if cursor else ""))).json()
        seen += [recording["name"] for recording in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert seen == ["three", "two", "one"]


async def test_a_page_shows_every_change_that_was_acknowledged(api, someone):
    async def names():
        return [row["name"] for row in (await api.call("GET", "/recordings?limit=10")).json()["data"]]

    assert await names() == ["three", "two", "one"]
    await api.call("POST", "/recordings", {"end_user_id": someone, "name": "four"})
    assert await names() == ["four", "three", "two", "one"]
    gone = (await api.call("GET", "/recordings?limit=2")).json()["data"][1]["id"]
    await api.call("DELETE", f"/recordings/{gone}")
    assert await names() == ["four", "two", "one"]


@pytest.mark.parametrize(
    ("query", "page"),
    [("limit=2", (["three", "two"], True)), ("limit=2&offset=1", (["two", "one"], False)), ("limit=1&cursor=", (["two"], True))],
)
@pytest.mark.usefixtures("someone")
async def test_what_changes_between_two_looks_is_read_whole(api, monkeypatch, query, page):
    recordings = api.stores.recordings
    there = recordings.those_of
    if query.endswith("cursor="):
        query += (await api.call("GET", "/recordings?limit=1")).json()["next_cursor"]

    async def overtaken(tenant, versions):
        await there(tenant, versions)
        return []

    monkeypatch.setattr(recordings, "those_of", overtaken)
    shown = (await api.call("GET", f"/recordings?{query}")).json()
    assert ([row["name"] for row in shown["data"]], shown["has_more"]) == page


async def test_both_ways_show_25_unless_told_otherwise(api, someone):
    for _ in range(23):
        await api.recording()
    assert await alike(api, "") == 200
    page = (await api.call("GET", "/recordings")).json()
    assert (len(page["data"]), page["has_more"]) == (25, True)
