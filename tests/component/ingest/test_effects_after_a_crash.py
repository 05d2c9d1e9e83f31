"""A process dies after the effect of a request that creates nothing: the repeat has no second one, and is answered as well."""

from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.delivery import DeliveryStatus
from shared.domain.ids import new_ulid
from shared.domain.secret import secret_sha256
from tests.component.ingest.test_repeats_after_a_crash import ALSO, CREATIONS, api, forget, world
from tests.conformance import operations
from tests.tenants import SILENCE

__all__ = ["api", "world"]


async def completable(world):
    return {"recording_id": (await world.announced())[0]["id"]}


async def with_a_chunk(world):
    recording = await world.recording(streaming=True)
    await world.api.put_chunk(recording, 1)
    return {"recording_id": recording["id"]}


async def nothing(_world):
    return {}


FINALIZE = {"total_chunks": 1, "final_duration_ms": 1}
THE_SAME = {
    "device_unbind": ("/devices/{device_id}/unbind", {}, nothing),
    "download_of_media": None,  # a URL of what is there: nothing is changed
    "chunk_offer_urls": None,
    "endpoint_rotate_secret": ("/webhook-endpoints/{endpoint_id}/rotate-secret", {}, nothing),
    "endpoint_rotate_secret_alias": ("/webhooks/{endpoint_id}/rotate-secret", {"grace_s": 0}, nothing),
    "recording_finalize": ("/recordings/{recording_id}/finalize", FINALIZE, with_a_chunk),
    "transcription_cancel": ("/transcriptions/{transcription_id}/cancel", {}, nothing),
    "upload_alias_complete": ("/uploads/{recording_id}/complete", {}, completable),
    "upload_complete": ("/recordings/{recording_id}/upload-complete", {}, completable),
}
"""What is answered as it was the first time, and changes nothing the second time."""

ELSEWHERE = {
    "delivery_replay",
    "device_bind",
    "device_grant",  # another grant, which ends by itself: nothing is kept
    "device_heartbeat",  # what it tells is told again
    "device_refresh_token",  # its repeat has a credential that is good no more
    "endpoint_delivery_test_alias",
    "provider_callback_take",  # takes no idempotency key
    "relay_chunk",  # replaces the chunk by itself
    "relay_file",
}


def test_every_operation_that_may_be_repeated_has_its_place():
    posts = {described["operationId"] for method, _, described in operations() if method == "POST"}
    assert posts == {*CREATIONS, *ALSO, *THE_SAME, *ELSEWHERE}


def state(api):
    """Everything that is kept and may be changed by these."""
    stores = api.stores
    tables = (stores.devices.rows, stores.endpoints.rows, stores.deliveries.rows, stores.commands.rows)
    documents = (stores.recordings.documents, stores.transcriptions.documents)
    return [dict(table) for table in (*tables, *documents)]


async def twice(api, world, path, body, **options):
    """Send a request, let its answer be lost with its process, and send it again; return both answers and the state between."""
    options = {"secret": world.credentials["own key"], "headers": world.key} | options
    first = await api.call("POST", path, body, **options)
    assert first.is_success, first.text
    between = state(api)
    forget(api, first)
    second = await api.call("POST", path, body, **options)
    assert "idempotency-replayed" not in second.headers
    return first, second, between


@pytest.mark.parametrize("name", [name for name, row in THE_SAME.items() if row])
async def test_the_repeat_is_answered_as_the_first_and_changes_nothing(api, world, name):
    path, body, prepare = THE_SAME[name]
    ids = world.ids | await prepare(world)
    first, second, between = await twice(api, world, path.format_map(ids), body)
    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert state(api) == between


async def test_a_rotation_is_recognised_after_another_one_too(api, world):
    path = f"/webhook-endpoints/{world.ids['endpoint_id']}/rotate-secret"
    own = {"secret": world.credentials["own key"]}
    first = await api.call("POST", path, {}, headers=world.key, **own)
    await api.ok("POST", path, {}, **own)
    forget(api, first)
    again = await api.call("POST", path, {}, headers=world.key, **own)
    assert again.json()["secret"] == first.json()["secret"]
    assert len(api.stores.endpoints.rows[world.ids["endpoint_id"]].secrets) == 3


async def test_rotations_under_other_keys_and_without_one_are_other_rotations(api, world):
    path = f"/webhook-endpoints/{world.ids['endpoint_id']}/rotate-secret"
    keys = [world.key, {"Idempotency-Key": new_ulid()}, {}, {}]
    own = world.credentials["own key"]
    made = [(await api.ok("POST", path, {}, secret=own, headers=key))["secret"] for key in keys]
    assert len(set(made)) == 4


async def test_a_replayed_delivery_that_has_ended_again_is_not_sent_once_more(api, world):
    delivery_id, rows = world.ids["delivery_id"], api.stores.deliveries.rows
    rows[delivery_id] = msgspec.structs.replace(rows[delivery_id], status=DeliveryStatus.SUCCEEDED)
    path = f"/webhook-deliveries/{delivery_id}/replay"
    first = await api.call("POST", path, secret=world.credentials["own key"], headers=world.key)
    rows[delivery_id] = msgspec.structs.replace(rows[delivery_id], status=DeliveryStatus.SUCCEEDED)
    forget(api, first)
    again = await api.call("POST", path, secret=world.credentials["own key"], headers=world.key)
    assert (first.status_code, again.status_code, again.json()["status"]) == (202, 202, "succeeded")
    assert rows[delivery_id].replays == 1
    other = {"Idempotency-Key": new_ulid()}
    assert (await api.call("POST", path, secret=world.credentials["own key"], headers=other)).json()["status"] == "testing"
    assert rows[delivery_id].replays == 2


async def test_a_replay_that_was_stored_while_its_repeat_looked_is_not_sent_once_more(api, world, monkeypatch):
    delivery_id, store, own = world.ids["delivery_id"], api.stores.deliveries, {"secret": world.credentials["own key"]}
    before = store.rows[delivery_id] = msgspec.structs.replace(store.rows[delivery_id], status=DeliveryStatus.SUCCEEDED)
    path = f"/webhook-deliveries/{delivery_id}/replay"
    forget(api, await api.call("POST", path, headers=world.key, **own))

    async def too_early(*_asked):
        monkeypatch.undo()
        return before

    monkeypatch.setattr(store, "get", too_early)
    assert (await api.refused("POST", path, headers=world.key, **own))[:2] == (409, "conflict")
    store.rows[delivery_id] = msgspec.structs.replace(store.rows[delivery_id], status=DeliveryStatus.SUCCEEDED)
    again = await api.call("POST", path, headers=world.key, **own)
    assert (again.status_code, again.json()["status"], store.rows[delivery_id].replays) == (202, "succeeded", 1)


async def test_a_device_that_is_bound_again_has_one_binding_and_the_token_that_was_told_last(api, world):
    device = await world.made("POST", "/devices", {"serial_number": new_ulid()})
    path, body = f"/devices/{device['id']}/bind", {"end_user_id": world.ids["end_user_id"]}
    first, second, _ = await twice(api, world, path, body)
    assert second.json()["binding_generation"] == first.json()["binding_generation"] == 1
    assert (await api.stores.devices.by_secret(secret_sha256(second.json()["device_token"]))).id == device["id"]
    assert await api.stores.devices.by_secret(secret_sha256(first.json()["device_token"])) is None


@pytest.mark.parametrize("unbindings_between", [0, 2])
async def test_the_repeat_of_an_unbinding_leaves_the_binding_after_it_alone(api, world, unbindings_between):
    path, own = f"/devices/{world.ids['device_id']}", {"secret": world.credentials["own key"]}
    first = await api.call("POST", f"{path}/unbind", {}, headers=world.key, **own)
    assert (first.status_code, first.json()["end_user_id"]) == (200, None)
    forget(api, first)
    for _ in range(unbindings_between):
        await world.made("POST", f"{path}/bind", {"end_user_id": world.ids["end_user_id"]})
        await api.ok("POST", f"{path}/unbind", {}, headers={"Idempotency-Key": new_ulid()}, **own)
    bound = await world.made("POST", f"{path}/bind", {"end_user_id": world.ids["end_user_id"]})
    again = await api.call("POST", f"{path}/unbind", {}, headers=world.key, **own)
    assert (again.status_code, again.json()["end_user_id"]) == (200, bound["end_user_id"])
    beat = await api.call("POST", "/devices/me/heartbeat", {}, secret=bound["device_token"])
    assert beat.status_code == 200


async def test_an_unbinding_that_found_the_device_free_leaves_later_bindings_alone(api, world):
    own = {"secret": world.credentials["own key"]}
    device = await world.made("POST", "/devices", {"serial_number": new_ulid()})
    path = f"/devices/{device['id']}"
    first = await api.call("POST", f"{path}/unbind", {}, headers=world.key, **own)
    assert (first.status_code, first.json()) == (200, device)
    forget(api, first)
    bound = await world.made("POST", f"{path}/bind", {"end_user_id": world.ids["end_user_id"]})
    again = await api.call("POST", f"{path}/unbind", {}, headers=world.key, **own)
    assert (again.status_code, again.json()["end_user_id"]) == (200, bound["end_user_id"])


async def test_a_relayed_file_is_stored_and_completed_once(api, world):
    recording = (await world.recording())["id"]
    path, headers = f"/recordings/{recording}/upload-relay", {"Content-Type": "audio/wav", **world.key}
    first, second, between = await twice(api, world, path, SILENCE, headers=headers)
    assert (second.status_code, second.json()) == (200, first.json())
    assert state(api) == between
    third = await api.call("POST", path, SILENCE, secret=world.credentials["own key"], headers=headers)
    assert (third.content, third.headers["idempotency-replayed"]) == (second.content, "true")


async def test_an_upload_that_was_completed_before_the_key_came_first_is_refused_as_ever(api, world):
    recording = (await world.announced())[0]["id"]
    path = f"/recordings/{recording}/upload-complete"
    await world.made("POST", path, {})
    documents = api.stores.recordings.documents
    earlier = now() - timedelta(seconds=1)
    documents[recording] = msgspec.structs.replace(documents[recording], uploaded_at=earlier)
    refused = await api.call("POST", path, {}, secret=world.credentials["own key"], headers=world.key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
