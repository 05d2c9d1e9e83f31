"""Deliveries listed, read and replayed, and tests of endpoints (A19)."""

import asyncio
import json
import re

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.delivery import Attempt, AttemptError, Delivery, DeliveryStatus, delivery_id
from shared.domain.ids import new_id
from shared.domain.tenant import Mode
from shared.domain.webhook import DisabledReason
from shared.events.topics import PUBLIC_EVENT_TYPES
from tests.component.ingest.test_managing_endpoints import GOOD
from tests.fakes.ingest import API_SETTINGS, Api, fake_stores


@pytest.fixture
async def endpoint(api):
    return await api.ok("POST", "/webhook-endpoints", GOOD)


@pytest.fixture(params=["/webhook-endpoints", "/webhooks"])
def path(request, endpoint):
    return f"{request.param}/{endpoint['id']}"


def an_attempt(number, **fields):
    return Attempt(**({"number": number, "at": now(), "duration_ms": 12, "status_code": 503, "response": "later"} | fields))


async def delivered(api, endpoint, **fields):
    event_id, at = new_id("evt"), now()
    usual = {
        "id": delivery_id(event_id, endpoint["id"], at),
        "event_id": event_id,
        "event_type": "recording.created",
        "endpoint_id": endpoint["id"],
        "project_id": api.project_id,
        "mode": Mode.LIVE,
        "recording_id": new_id("rec"),
        "occurred_at": at,
        "body": b'{"id":"%s","type":"recording.created"}' % event_id.encode(),
        "status": DeliveryStatus.FAILED,
        "next_attempt_at": None,
        "attempts_made": 2,
        "attempts": (an_attempt(1), an_attempt(2, status_code=None, error=AttemptError.TIMEOUT, response="")),
        "created_at": at,
        "updated_at": at,
    }
    (delivery,) = await api.stores.deliveries.add_new([Delivery(**(usual | fields))])
    return delivery


def answering(api, status_code=200):
    """Have tests ended as the webhook stage would."""

    def attempt(delivery):
        outcome = DeliveryStatus.SUCCEEDED if status_code < 300 else DeliveryStatus.FAILED
        result = an_attempt(1, status_code=status_code, manual=True)
        kept = api.stores.deliveries.rows
        asyncio.get_running_loop().call_later(0.05, lambda: kept.update({delivery.id: delivery.attempted(result, outcome, None)}))

    api.stores.deliveries.on_new = attempt


async def test_deliveries_are_listed_newest_first_without_bodies_and_secrets(api, path, endpoint):
    made = sorted([(await delivered(api, endpoint)).id for _ in range(3)], reverse=True)
    page = await api.ok("GET", f"{path}/deliveries?limit=2")
    rest = await api.ok("GET", f"{path}/deliveries?limit=2&cursor={page['next_cursor']}")
    assert [line["id"] for line in page["data"] + rest["data"]] == made
    assert (page["has_more"], rest["has_more"]) == (True, False)
    line = page["data"][0]
    assert "body" not in line
    assert "attempts" not in line
    assert (line["status"], line["attempts_made"], line["last_attempt"]["error"]) == ("failed", 2, "timeout")
    assert endpoint["secret"] not in json.dumps(page)


async def test_the_list_filters_by_status_and_event(api, path, endpoint):
    done = await delivered(api, endpoint, status=DeliveryStatus.SUCCEEDED, event_type="recording.failed")
    failed = await delivered(api, endpoint)
    for query, expected in (
        ("status=succeeded", [done.id]),
        ("status=failed", [failed.id]),
        ("event_type=recording.failed", [done.id]),
        ("status=failed&event_type=recording.failed", []),
    ):
        assert [line["id"] for line in (await api.ok("GET", f"{path}/deliveries?{query}"))["data"]] == expected
    for wrong in ("status=lost", "event_type=nothing.happened", "limit=0", "cursor=x"):
        assert (await api.refused("GET", f"{path}/deliveries?{wrong}"))[:2] == (400, "invalid_request")


async def test_a_cursor_of_another_endpoint_is_refused(api, path, endpoint):
    other = await api.ok("POST", "/webhooks", GOOD)
    for _ in range(2):
        await delivered(api, other)
    page = await api.ok("GET", f"/webhooks/{other['id']}/deliveries?limit=1")
    assert (await api.refused("GET", f"{path}/deliveries?cursor={page['next_cursor']}"))[:2] == (400, "invalid_request")


async def test_a_delivery_shows_its_body_as_it_was_signed_and_every_attempt(api, endpoint):
    delivery = await delivered(api, endpoint)
    shown = await api.ok("GET", f"/webhook-deliveries/{delivery.id}")
    assert shown["body"].encode() == delivery.body
    assert [attempt["number"] for attempt in shown["attempts"]] == [1, 2]
    assert [attempt["status_code"] for attempt in shown["attempts"]] == [503, None]
    assert shown["attempts"][0]["response"] == "later"
    assert shown["last_attempt"] == shown["attempts"][1]


async def test_a_delivery_whose_text_was_erased_has_no_body(api, endpoint):
    delivery = await delivered(api, endpoint, body=b"")
    assert (await api.ok("GET", f"/webhook-deliveries/{delivery.id}"))["body"] is None
    assert (await api.refused("POST", f"/webhook-deliveries/{delivery.id}/replay"))[:2] == (409, "conflict")


async def test_an_ended_delivery_is_replayed_from_the_beginning(api, endpoint):
    delivery = await delivered(api, endpoint)
    response = await api.call("POST", f"/webhook-deliveries/{delivery.id}/replay")
    assert response.status_code == 202
    assert response.json()["status"] == "pending"
    kept = api.stores.deliveries.rows[delivery.id]
    assert (kept.body, kept.tries, kept.asked_for) == (delivery.body, 0, True)
    assert (await api.refused("POST", f"/webhook-deliveries/{delivery.id}/replay"))[:2] == (409, "conflict")


async def test_nothing_is_replayed_to_a_disabled_or_deleted_endpoint(api, endpoint):
    delivery = await delivered(api, endpoint)
    kept = api.stores.endpoints.rows[endpoint["id"]]
    api.stores.endpoints.rows[endpoint["id"]] = kept.disabled(DisabledReason.GONE)
    assert (await api.refused("POST", f"/webhook-deliveries/{delivery.id}/replay"))[:2] == (409, "endpoint_disabled")
    await api.call("DELETE", f"/webhook-endpoints/{endpoint['id']}")
    assert (await api.refused("POST", f"/webhook-deliveries/{delivery.id}/replay"))[:2] == (404, "not_found")
    assert api.stores.deliveries.rows[delivery.id] == delivery


async def test_anothers_delivery_looks_as_if_it_did_not_exist(api, endpoint):
    delivery = await delivered(api, endpoint)
    key = await api.new_key(api.project_id, mode="test")
    for method, rest in (("GET", ""), ("POST", "/replay")):
        assert (await api.refused(method, f"/webhook-deliveries/{delivery.id}{rest}", secret=key))[:2] == (404, "not_found")


@pytest.mark.parametrize(("status_code", "outcome"), [(204, "succeeded"), (500, "failed")])
async def test_a_test_answers_what_came_of_it(api, path, status_code, outcome):
    answering(api, status_code)
    response = await api.call("POST", f"{path}/test")
    assert response.status_code == 200
    shown = response.json()
    assert (shown["status"], shown["test"], shown["last_attempt"]["status_code"]) == (outcome, True, status_code)
    assert shown["event_type"] == "recording.uploaded"


async def test_a_test_that_takes_long_is_answered_with_its_id():
    api = await Api(fake_stores(), msgspec.structs.replace(API_SETTINGS, webhooks_test_wait_s=0)).open()
    endpoint = await api.ok("POST", "/webhooks", GOOD)
    response = await api.call("POST", f"/webhooks/{endpoint['id']}/test", {"event_type": "recording.created"})
    assert (response.status_code, response.json()["status"]) == (202, "testing")
    for _ in range(4):
        await api.call("POST", f"/webhooks/{endpoint['id']}/test")
    assert (await api.refused("POST", f"/webhooks/{endpoint['id']}/test"))[:2] == (409, "limit_reached")


@pytest.mark.parametrize("event_type", PUBLIC_EVENT_TYPES)
async def test_there_is_an_example_of_every_event(api, path, event_type):
    answering(api)
    shown = await api.ok("POST", f"{path}/test", {"event_type": event_type})
    body = json.loads(shown["body"])
    assert (body["id"], body["type"], body["data"]["test"]) == (shown["event_id"], event_type, True)
    assert body["data"]["project_id"] == api.project_id


SAID = {
    "recording.stitched": {"duration_ms", "content_sha256"},
    "recording.failed": {"error"},
    "recording.deleted": {"deleted_at"},
    "transcription.started": {"started_at"},
    "transcription.completed": {"started_at", "completed_at", "language", "word_count", "speaker_count", "text", "segments"},
    "transcription.failed": {"started_at", "completed_at", "error", "error_message"},
}
"""What a thing that has come so far always has, and before has not."""


@pytest.mark.parametrize("event_type", PUBLIC_EVENT_TYPES)
async def test_an_example_says_what_the_api_would_say_of_a_thing_in_that_status(api, path, event_type):
    answering(api)
    data = json.loads((await api.ok("POST", f"{path}/test", {"event_type": event_type}))["body"])["data"]
    assert {name for name in SAID.get(event_type, ()) if data[name] is None} == set()
    later = {"deleted_at", "completed_at", "started_at"} & set(data) - SAID.get(event_type, set())
    assert {name for name in later if data[name] is not None} <= ({"started_at"} if "media" in data else set())
    kinds = {"end_user_id": "eu", "recording_id": "rec", "project_id": "proj"}
    assert all(re.fullmatch(f"{kinds[name]}_[0-9A-Z]{{26}}", data[name]) for name in kinds.keys() & data.keys())


@pytest.mark.parametrize(
    ("events", "example"),
    [
        (["transcription.failed", "recording.created"], "transcription.failed"),
        (["summary.started", "recording.created"], "recording.created"),
        (["summary.started"], "recording.uploaded"),  # nothing here makes what it asks for
    ],
)
async def test_by_default_the_example_is_one_that_the_endpoint_hears(api, events, example):
    answering(api)
    endpoint = await api.ok("POST", "/webhooks", {**GOOD, "events": events})
    assert (await api.ok("POST", f"/webhooks/{endpoint['id']}/test"))["event_type"] == example


@pytest.mark.parametrize("event_type", ["*", "upload.claimed", "nothing.happened"])
async def test_there_is_no_example_of_anything_else(api, path, event_type):
    status, code, error = await api.refused("POST", f"{path}/test", {"event_type": event_type})
    assert (status, code) == (400, "invalid_request")
    assert error["param"] == "event_type"
