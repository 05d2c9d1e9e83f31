"""A process dies after the effect of a request and before its answer is kept: the repeat makes no second one of anything."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from services.ingest.idempotency import repeats
from shared.domain.clock import now
from shared.domain.ids import new_ulid
from tests.conformance import operations
from tests.fakes.ingest import API_SETTINGS, Api, fake_stores
from tests.tenants import BODIES, SILENCE, World


@pytest.fixture(scope="module")
async def api():
    """The API over fakes, where tests of endpoints wait for nobody."""
    api = Api(fake_stores(), msgspec.structs.replace(API_SETTINGS, webhooks_test_wait_s=0))
    yield await api.open()
    await api.client.aclose()


@pytest.fixture
async def world(api):
    """A world of its own, with one of everything, and an idempotency key."""
    world = await (await World(api).open()).furnish()
    world.key = {"Idempotency-Key": new_ulid()}
    return world


async def uploaded(world):
    return {"recording_id": (await world.uploaded())["id"]}


async def whole(world):
    return {"recording_id": (await world.recording())["id"]}


CREATIONS = {
    "device_command_create": ("/devices/{device_id}/commands", BODIES["device_command_create"], None),
    "device_register": ("/devices", {"serial_number": "{serial_number}"}, None),
    "end_user_create": ("/end-users", {"external_id": "{serial_number}"}, None),
    "endpoint_create": ("/webhook-endpoints", BODIES["endpoint_create"], None),
    "endpoint_create_alias": ("/webhooks", BODIES["endpoint_create"], None),
    "key_create": ("/admin/projects/{project_id}/api-keys", {}, None),
    "organization_create": ("/admin/organizations", {"name": "o"}, None),
    "project_create": ("/admin/projects", {"organization_id": "{organization_id}", "name": "p"}, None),
    "recording_create": ("/recordings", {"end_user_id": "{end_user_id}"}, None),
    "transcription_create": ("/transcriptions", {"recording_id": "{recording_id}"}, uploaded),
    "transcription_transcribe": ("/recordings/{recording_id}/transcribe", {}, uploaded),
}
"""Every operation that answers 201, with a body for it and what has to be there before."""

ALSO = {
    "endpoint_delivery_test": ("/webhook-endpoints/{endpoint_id}/test", {}, None),
    "upload_request_url": ("/recordings/{recording_id}/upload-url", {"type": "image", "content_type": "image/png"}, whole),
}
"""What creates something and answers otherwise."""


def test_every_operation_that_creates_is_tried():
    assert set(CREATIONS) == {described["operationId"] for _, _, described in operations() if "201" in described["responses"]}


def forget(api, answer):
    """Let the answer not have been kept, and the lease of the process that gave it end."""
    answers = api.stores.answers
    kept = next(item for item in answers.requests.values() if item.answer and item.answer.body == answer.content)
    answers.requests[kept.id] = msgspec.structs.replace(kept, answer=None, leased_until=now() - timedelta(seconds=1))


def rows(api):
    """Everything that is kept, by id."""
    stores = api.stores
    tables = (stores.end_users, stores.devices, stores.commands, stores.endpoints, stores.deliveries, stores.keys)
    counts = [len(table.rows) for table in (*tables, stores.organizations, stores.projects)]
    media = sum(len(recording.media) for recording in stores.recordings.documents.values())
    return [*counts, len(stores.recordings.documents), len(stores.transcriptions.documents), media]


@pytest.mark.parametrize("name", [*CREATIONS, *ALSO])
async def test_the_repeat_finds_what_was_made(api, world, name):
    path, body, prepare = (CREATIONS | ALSO)[name]
    ids = world.ids | (await prepare(world) if prepare else {}) | {"serial_number": f"new {world.ids['serial_number']}"}
    body = {key: value.format_map(ids) if isinstance(value, str) else value for key, value in body.items()}
    secret = api.admin_token if path.startswith("/admin") else world.credentials["own key"]
    api.stores.deliveries.on_new = None
    first = await api.call("POST", path.format_map(ids), body, secret=secret, headers=world.key)
    assert first.is_success, first.text
    made = rows(api)
    forget(api, first)
    second = await api.call("POST", path.format_map(ids), body, secret=secret, headers=world.key)
    assert "idempotency-replayed" not in second.headers
    assert (second.status_code, rows(api)) == (first.status_code, made)
    named = "media_id" if "media_id" in first.json() else "id"
    assert second.json()[named] == first.json()[named]


async def test_a_key_that_is_made_anew_has_one_good_secret_and_that_is_the_one_shown_last(api, world):
    path = f"/admin/projects/{world.ids['project_id']}/api-keys"
    first = await api.call("POST", path, {}, secret=api.admin_token, headers=world.key)
    forget(api, first)
    second = await api.call("POST", path, {}, secret=api.admin_token, headers=world.key)
    secrets = [answer.json()["secret"] for answer in (first, second)]
    assert [(await api.call("GET", "/recordings", secret=secret)).status_code for secret in secrets] == [401, 200]


async def test_an_endpoint_that_is_found_again_has_the_secret_that_it_has(api, world):
    first = await api.call(
        "POST", "/webhook-endpoints", BODIES["endpoint_create"], secret=world.credentials["own key"], headers=world.key
    )
    forget(api, first)
    again = await api.call(
        "POST", "/webhook-endpoints", BODIES["endpoint_create"], secret=world.credentials["own key"], headers=world.key
    )
    assert again.json() == first.json()


async def test_an_endpoint_that_was_deleted_since_is_not_made_again(api, world):
    own = {"secret": world.credentials["own key"]}
    first = await api.call("POST", "/webhook-endpoints", BODIES["endpoint_create"], headers=world.key, **own)
    forget(api, first)
    assert (await api.call("DELETE", f"/webhook-endpoints/{first.json()['id']}", **own)).status_code == 204
    made = rows(api)
    refused = await api.refused("POST", "/webhook-endpoints", BODIES["endpoint_create"], headers=world.key, **own)
    assert (refused[:2], rows(api)) == ((404, "not_found"), made)


@pytest.mark.parametrize("body", [{}, {"external_id": "crm-42"}])
async def test_an_end_user_that_was_deleted_since_is_not_made_again(api, world, body):
    own = {"secret": world.credentials["own key"]}
    first = await api.call("POST", "/end-users", body, headers=world.key, **own)
    forget(api, first)
    assert (await api.call("DELETE", f"/end-users/{first.json()['id']}", **own)).status_code == 204
    made = rows(api)
    refused = await api.refused("POST", "/end-users", body, headers=world.key, **own)
    assert (refused[:2], rows(api)) == ((404, "not_found"), made)


async def test_an_end_user_whose_external_id_another_has_by_now_is_refused_for_that(api, world):
    own, body = {"secret": world.credentials["own key"]}, {"external_id": "crm-43"}
    first = await api.call("POST", "/end-users", body, headers=world.key, **own)
    forget(api, first)
    assert (await api.call("DELETE", f"/end-users/{first.json()['id']}", **own)).status_code == 204
    await api.ok("POST", "/end-users", body, **own)
    assert (await api.refused("POST", "/end-users", body, headers=world.key, **own))[:2] == (409, "resource_already_exists")


@pytest.mark.parametrize("name", ["device_command_create", "endpoint_create"])
async def test_a_run_that_was_overtaken_by_its_repeat_finds_what_that_made(api, world, monkeypatch, name):
    """It looks before the other stores, and stores after it."""
    path, body, _ = CREATIONS[name]
    store = api.stores.commands if name == "device_command_create" else api.stores.endpoints
    first = await api.call("POST", path.format_map(world.ids), body, secret=world.credentials["own key"], headers=world.key)
    forget(api, first)
    get, asked = store.get, []

    async def blind_at_first(*wanted):
        asked.append(wanted)
        return None if len(asked) == 1 else await get(*wanted)

    monkeypatch.setattr(store, "get", blind_at_first)
    made = rows(api)
    again = await api.call("POST", path.format_map(world.ids), body, secret=world.credentials["own key"], headers=world.key)
    assert (again.status_code, again.json(), rows(api)) == (201, first.json(), made)


async def test_what_was_announced_and_stored_is_completed_though_the_answer_was_lost(api, world):
    recording = await world.recording()
    path, body = f"/recordings/{recording['id']}/upload-url", {"content_type": "audio/wav"}
    first = await api.call("POST", path, body, secret=world.credentials["own key"], headers=world.key)
    await api.store(first.json()["upload_url"], SILENCE)
    forget(api, first)
    assert (await api.call("POST", path, body, secret=world.credentials["own key"], headers=world.key)).is_success
    done = await world.made("POST", f"/recordings/{recording['id']}/upload-complete", None)
    assert [media["status"] for media in done["media"]] == ["uploaded"]


async def test_a_transcription_that_a_late_repeat_starts_is_the_newest_and_is_found_again(api, world):
    own, ids = {"secret": world.credentials["own key"]}, await uploaded(world)
    path = f"/recordings/{ids['recording_id']}"
    api.stores.transcriptions.down = True
    assert (await api.call("POST", f"{path}/transcribe", {}, headers=world.key, **own)).status_code == 503
    api.stores.transcriptions.down = False
    answers = api.stores.answers
    for claimed in list(answers.requests.values()):
        if claimed.answer is None:
            answers.requests[claimed.id] = msgspec.structs.replace(claimed, first_at=claimed.first_at - timedelta(seconds=1))
    other = await api.ok("POST", f"{path}/transcribe", {}, **own)
    await api.ok("POST", f"/transcriptions/{other['id']}/cancel", {}, **own)
    late = await api.call("POST", f"{path}/transcribe", {}, headers=world.key, **own)
    assert late.status_code == 201
    listed = await api.ok("GET", f"{path}/transcriptions", **own)
    assert [one["id"] for one in listed["data"]] == [late.json()["id"], other["id"]]
    assert (await api.ok("GET", path, **own))["transcription_id"] == late.json()["id"]
    forget(api, late)
    made = rows(api)
    again = await api.call("POST", f"{path}/transcribe", {}, headers=world.key, **own)
    assert (again.status_code, again.json(), rows(api)) == (201, late.json(), made)


@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_start_that_was_overtaken_by_its_repeat_finds_the_transcription_of_that(api, world, monkeypatch, has_ended):
    own, store = {"secret": world.credentials["own key"], "headers": world.key}, api.stores.transcriptions
    path = f"/recordings/{(await uploaded(world))['recording_id']}/transcribe"
    first = await api.call("POST", path, {}, **own)
    if has_ended:
        await world.made("POST", f"/transcriptions/{first.json()['id']}/cancel", {})
    forget(api, first)

    async def none_yet(*_asked):
        return []

    async def not_yet(*_asked):
        monkeypatch.undo()

    made = rows(api)
    monkeypatch.setattr(store, "page", none_yet)
    monkeypatch.setattr(store, "get", not_yet)
    again = await api.call("POST", path, {}, **own)
    assert (again.status_code, again.json()["id"], rows(api)) == (201, first.json()["id"], made)


async def test_a_request_that_is_cut_is_answered_though_its_key_cannot_be_let_go(api, world, monkeypatch):
    begun = asyncio.Event()

    async def stands_still(*_, **__):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(repeats, "LET_GO_WITHIN_S", 0.01, raising=False)
    monkeypatch.setattr(api.stores.end_users, "add", stands_still)
    monkeypatch.setattr(api.stores.answers, "settle", stands_still)
    call = api.call("POST", "/end-users", {"external_id": "new"}, secret=world.credentials["own key"], headers=world.key)
    request = asyncio.create_task(call)
    await begun.wait()
    request.cancel()
    done, _ = await asyncio.wait({request}, timeout=10)
    assert [answered.result().status_code for answered in done] == [503]
