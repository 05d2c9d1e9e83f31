"""What a device's token opens: its own device and its own recordings, and of those only what the contract lists (section 1.4)."""

import hashlib

import pytest

from shared.domain.ids import new_id


@pytest.fixture
async def device(api):
    """A bound device, with its token."""
    return await api.bound_device()


async def test_a_recording_by_token_is_of_the_tokens_device_and_end_user_whatever_the_body_says(api, device):
    other, stranger = await api.bound_device(await api.new_end_user()), await api.new_end_user()
    for body in ({}, {"device_id": other["id"], "end_user_id": stranger}, {"device_id": new_id("dev"), "end_user_id": "eu_none"}):
        made = await api.ok("POST", "/recordings", body, secret=device["device_token"])
        assert (made["device_id"], made["end_user_id"]) == (device["id"], device["end_user_id"])


async def test_a_device_streams_and_finalizes_with_its_token_alone(api, device):
    token = device["device_token"]
    recording = await api.ok("POST", "/recordings", {"streaming": True}, secret=token)
    assert (await api.put_chunk(recording, 1)).is_success
    finalized = await api.ok(
        "POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 1, "final_duration_ms": 5}, secret=token
    )
    assert finalized["status"] == "uploaded"


async def test_a_device_uploads_a_whole_file_with_its_token_alone(api, device):
    token = device["device_token"]
    recording = await api.ok("POST", "/recordings", {}, secret=token)
    own = f"/recordings/{recording['id']}"
    await api.ok("POST", f"{own}/upload-url", {"content_type": "audio/wav"}, secret=token)
    key = api.stores.recordings.documents[recording["id"]].media[0].object_key
    api.stores.objects.objects[key] = wav = b"RIFF\x28\x00\x00\x00WAVE" + bytes(36)
    done = await api.ok("POST", f"{own}/upload-complete", {"content_sha256": hashlib.sha256(wav).hexdigest()}, secret=token)
    assert done["status"] == "uploaded"


NOT_ALLOWED = [
    ("GET", "/recordings", "recordings:read"),
    ("GET", "/recordings/{recording}", "recordings:read"),
    ("GET", "/recordings/{recording}/chunks", "recordings:read"),
    ("DELETE", "/recordings/{recording}", "recordings:write"),
    ("POST", "/recordings/{recording}/transcribe", "transcriptions:write"),
    ("POST", "/transcriptions", "transcriptions:write"),
    ("GET", "/end-users", "end_users:read"),
    ("POST", "/end-users", "end_users:write"),
    ("GET", "/devices", "devices:read"),
    ("POST", "/devices", "devices:write"),
    ("GET", "/devices/stats", "devices:read"),
    ("GET", "/devices/{device}", "devices:read"),
    ("PATCH", "/devices/{device}", "devices:write"),
    ("GET", "/devices/{device}/state", "devices:read"),
    ("POST", "/devices/{device}/bind", "devices:write"),
    ("POST", "/devices/{device}/unbind", "devices:write"),
    ("GET", "/devices/{device}/commands", "devices:read"),
    ("GET", "/devices/{device}/commands/pending", "devices:read"),
    ("POST", "/devices/{device}/commands", "devices:write"),
    ("GET", "/webhook-endpoints", "webhooks:read"),
]


@pytest.mark.parametrize(("method", "path", "scope"), NOT_ALLOWED)
async def test_everything_else_is_forbidden_and_names_the_scope(api, device, method, path, scope):
    recording = await api.ok("POST", "/recordings", {"streaming": True}, secret=device["device_token"])
    url = path.format(recording=recording["id"], device=device["id"])
    status, code, error = await api.refused(method, url, {} if method == "POST" else None, secret=device["device_token"])
    assert (status, code, error["details"]) == (403, "forbidden", {"required_scope": scope})


@pytest.mark.parametrize("action", ["upload-url", "upload-complete", "finalize"])
async def test_another_devices_recording_does_not_exist_for_it(api, device, action):
    other = await api.bound_device()
    recordings = [
        await api.ok("POST", "/recordings", {"streaming": action == "finalize"}, secret=other["device_token"]),
        await api.recording(streaming=action == "finalize"),
    ]
    body = {"total_chunks": 1, "final_duration_ms": 1} if action == "finalize" else {}
    wanted = await api.refused("POST", f"/recordings/{new_id('rec')}/{action}", body, secret=device["device_token"])
    for recording in recordings:
        status, code, error = await api.refused(
            "POST", f"/recordings/{recording['id']}/{action}", body, secret=device["device_token"]
        )
        assert (status, code, error["message"]) == (*wanted[:2], wanted[2]["message"])


@pytest.mark.parametrize("action", ["upload-url", "upload-complete", "upload-relay", "finalize", "upload-relay/chunk/0"])
async def test_bound_to_the_next_end_user_it_completes_nothing_of_the_one_before(api, action):
    device = await api.bound_device()
    streaming = action in {"finalize", "upload-relay/chunk/0"}
    recording = await api.ok("POST", "/recordings", {"streaming": streaming}, secret=device["device_token"])
    await api.ok("POST", f"/devices/{device['id']}/unbind")
    body = {"total_chunks": 1, "final_duration_ms": 1} if action == "finalize" else b"x" if "relay" in action else {}
    next_one = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": await api.new_end_user()})
    for path in (f"/recordings/{recording['id']}/{action}", f"/recordings/{new_id('rec')}/{action}"):
        assert (await api.refused("POST", path, body, secret=next_one["device_token"]))[0] == 404
    await api.ok("POST", f"/devices/{device['id']}/unbind")
    again = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": device["end_user_id"]})
    assert (
        await api.call("POST", f"/recordings/{recording['id']}/{action}", body, secret=again["device_token"])
    ).status_code != 404


async def test_what_it_recorded_for_an_earlier_end_user_is_not_opened_for_the_next(api):
    device, pair = await api.bound_device(), {"recording_uuid": "u-1", "recording_generation": 1}
    made = await api.ok("POST", "/recordings", pair, secret=device["device_token"])
    await api.ok("POST", f"/devices/{device['id']}/unbind")
    next_one = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": await api.new_end_user()})
    for path in ("/recordings", "/recordings?way=general"):
        status, code, error = await api.refused("POST", path, pair, secret=next_one["device_token"])
        assert (status, code, error["param"]) == (409, "resource_already_exists", "recording_uuid")
    assert (await api.ok("POST", "/recordings", pair | {"device_id": device["id"]}))["id"] == made["id"]


@pytest.mark.parametrize("action", ["heartbeat", "token/refresh"])
async def test_another_device_does_not_exist_for_it(api, device, action):
    other = await api.bound_device()
    for identifier in (other["id"], new_id("dev")):
        refusal = await api.refused("POST", f"/devices/{identifier}/{action}", {}, secret=device["device_token"])
        assert refusal[:2] == (404, "not_found")


@pytest.mark.parametrize("name", ["me", "own id"])
async def test_a_refreshed_token_takes_the_place_of_the_old_one_at_once(api, device, name):
    old = device["device_token"]
    path = "/devices/me" if name == "me" else f"/devices/{device['id']}"
    await api.ok("POST", f"{path}/heartbeat", {}, secret=old)
    new = (await api.ok("POST", f"{path}/token/refresh", secret=old))["device_token"]
    assert (await api.refused("POST", f"{path}/heartbeat", {}, secret=old))[:2] == (401, "unauthorized")
    assert (await api.refused("POST", f"{path}/token/refresh", secret=old))[:2] == (401, "unauthorized")
    await api.ok("POST", f"{path}/heartbeat", {}, secret=new)
    assert (await api.ok("GET", f"/devices/{device['id']}"))["binding_generation"] == 1


async def test_a_token_that_another_replica_revoked_a_moment_ago_cannot_refresh_itself(api, device):
    old = device["device_token"]
    await api.ok("POST", "/devices/me/heartbeat", {}, secret=old)  # remembered by this replica
    (tenant, device_id), row = next(item for item in api.stores.devices.rows.items() if item[1].id == device["id"])
    await api.stores.devices.replace_token(tenant, device_id, row.token_sha256, "0" * 64)
    assert (await api.refused("POST", "/devices/me/token/refresh", secret=old))[:2] == (401, "unauthorized")
    assert (await api.refused("POST", "/devices/me/heartbeat", {}, secret=old))[:2] == (401, "unauthorized")


async def test_no_key_refreshes_a_token(api, device):
    for key in (api.secret, await api.new_key(api.project_id, scopes=["devices:write"])):
        for identifier in (device["id"], "me", new_id("dev")):
            status, code, error = await api.refused("POST", f"/devices/{identifier}/token/refresh", secret=key)
            assert (status, code, error["details"]) == (403, "forbidden", {"required_credential": "device_token"})


@pytest.mark.parametrize("secret", ["dtok_", "dtok_short", "dtok_" + "a" * 32, "dtok_" + "A" * 33, "dtok_" + "a" * 31 + "-"])
async def test_a_token_that_nobody_was_given_is_refused(api, secret):
    assert (await api.refused("POST", "/devices/me/heartbeat", {}, secret=secret))[:2] == (401, "unauthorized")


async def test_with_a_key_the_body_names_end_user_and_device_and_both_must_exist(api, device):
    someone = await api.new_end_user()
    made = await api.ok("POST", "/recordings", {"end_user_id": someone, "device_id": device["id"]})
    assert (made["end_user_id"], made["device_id"]) == (someone, device["id"])
    for body, param in (
        ({"end_user_id": new_id("eu")}, "end_user_id"),
        ({"end_user_id": someone, "device_id": new_id("dev")}, "device_id"),
        ({"device_id": new_id("dev")}, "device_id"),
    ):
        status, code, error = await api.refused("POST", "/recordings", body)
        assert (status, code, error["param"]) == (404, "not_found", param)


async def test_with_a_key_and_a_device_alone_the_end_user_is_the_one_it_is_bound_to_now(api, device):
    assert (await api.ok("POST", "/recordings", {"device_id": device["id"]}))["end_user_id"] == device["end_user_id"]
    other = await api.new_end_user()
    await api.ok("POST", f"/devices/{device['id']}/unbind")
    status, code, error = await api.refused("POST", "/recordings", {"device_id": device["id"]})
    assert (status, code, error["param"]) == (400, "invalid_request", "end_user_id")
    await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": other})
    assert (await api.ok("POST", "/recordings", {"device_id": device["id"]}))["end_user_id"] == other


async def test_another_modes_end_users_and_devices_do_not_exist(api, device):
    test = await api.new_key(api.project_id, mode="test")
    for body in ({"end_user_id": await api.someone()}, {"device_id": device["id"]}):
        assert (await api.refused("POST", "/recordings", body, secret=test))[:2] == (404, "not_found")


async def test_that_somebody_exists_is_asked_once_for_many_recordings(api):
    someone = await api.new_end_user()
    before = api.stores.end_users.lookups
    for _ in range(5):
        await api.recording(end_user_id=someone)
    assert api.stores.end_users.lookups == before + 1
