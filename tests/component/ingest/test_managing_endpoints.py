"""Webhook endpoints: created with a secret shown once, listed, read, deleted (contract 12.1, A19)."""

import base64

import pytest

from services.ingest.refusals import InvalidRequest
from services.ingest.webhooks.urls import check_url
from shared.domain.webhook import MAX_ENDPOINTS
from shared.events.topics import PUBLIC_EVENT_TYPES

GOOD = {"url": "https://customer.example/hook", "events": ["*"]}


@pytest.fixture(params=["/webhook-endpoints", "/webhooks"])
def route(request):
    """Both names of the same resource."""
    return request.param


async def test_a_new_endpoint_shows_its_secret_once(api, route):
    response = await api.call("POST", route, {**GOOD, "description": "mine", "metadata": {"team": "a"}})
    endpoint = response.json()
    assert response.status_code == 201
    assert endpoint["id"].startswith("we_")
    assert len(base64.b64decode(endpoint["secret"].removeprefix("whsec_"))) == 32
    assert (endpoint["status"], endpoint["description"], endpoint["metadata"]) == ("enabled", "mine", {"team": "a"})
    shown = await api.ok("GET", f"{route}/{endpoint['id']}")
    assert "secret" not in shown
    assert shown == {name: value for name, value in endpoint.items() if name != "secret"}


async def test_the_list_is_newest_first_and_holds_no_secret(api, route):
    made = sorted([(await api.ok("POST", route, GOOD))["id"] for _ in range(3)])
    page = await api.ok("GET", f"{route}?limit=2")
    assert [item["id"] for item in page["data"]] == made[:0:-1]
    assert page["has_more"] is True
    rest = await api.ok("GET", f"{route}?limit=2&cursor={page['next_cursor']}")
    assert [item["id"] for item in rest["data"]] == made[:1]
    assert not any("secret" in item for item in page["data"])


async def test_a_deleted_endpoint_is_gone(api, route):
    endpoint = await api.ok("POST", route, GOOD)
    assert (await api.call("DELETE", f"{route}/{endpoint['id']}")).status_code == 204
    assert (await api.refused("GET", f"{route}/{endpoint['id']}"))[:2] == (404, "not_found")
    assert (await api.refused("DELETE", f"{route}/{endpoint['id']}"))[:2] == (404, "not_found")


async def test_every_public_event_may_be_heard_and_repeats_count_once(api, route):
    endpoint = await api.ok("POST", route, {**GOOD, "events": [*PUBLIC_EVENT_TYPES, "recording.created"]})
    assert endpoint["events"] == list(PUBLIC_EVENT_TYPES)


async def test_events_that_clients_know_and_nothing_here_makes_may_be_asked_for(api, route):
    events = ["transcription.completed", "summary.started", "summary.completed", "summary.failed"]
    endpoint = await api.ok("POST", route, {**GOOD, "events": events})
    assert (await api.ok("GET", f"{route}/{endpoint['id']}"))["events"] == events
    changed = await api.ok("PATCH", f"{route}/{endpoint['id']}", {"events": events[:3]})
    assert changed["events"] == events[:3]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"events": []}, "events"),
        ({"events": ["upload.claimed"]}, "events"),
        ({"events": ["nothing.happened"]}, "events"),
        ({"events": ["summary.happened"]}, "events"),
        ({"events": "recording.created"}, "events"),
        ({"url": ""}, "url"),
        ({"url": 5}, "url"),
        ({"metadata": {"$a": 1}}, "metadata"),
        ({"description": "x" * 1025}, "description"),
    ],
)
async def test_a_wrong_field_is_refused_by_name(api, route, change, param):
    status, code, error = await api.refused("POST", route, {**GOOD, **change})
    assert (status, code, error["param"]) == (400, "invalid_request", param)


async def test_there_may_not_be_more_than_the_limit(api):
    for _ in range(MAX_ENDPOINTS):
        await api.ok("POST", "/webhooks", GOOD)
    assert (await api.refused("POST", "/webhooks", GOOD))[:2] == (409, "limit_reached")


@pytest.mark.parametrize(
    "url",
    [
        "http://customer.example/hook",
        "ftp://customer.example/",
        "https://",
        "https://user:pass@customer.example/",
        "https://customer.example/#part",
        "https://customer.example:99999/",
        "https://[::1/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.8/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://metadata/",
        "https://db.internal/",
        "https://a b.example/",
        "https://127.1/",
        "https://1.1.1.1./",
        "https://customer..example/",
        f"https://{64 * 'a'}.example/",
        "customer.example/hook",
    ],
)
def test_a_url_that_may_not_be_called_is_refused(url):
    with pytest.raises(InvalidRequest):
        check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://customer.example/hook?x=1",
        "https://customer.example:8443/",
        "https://customer.example./",
        "https://münchen.example/",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/",
    ],
)
def test_a_public_https_url_is_taken(url):
    check_url(url, allow_private=False)


def test_where_private_places_are_allowed_http_is_too():
    check_url("http://127.0.0.1:8000/hook", allow_private=True)
