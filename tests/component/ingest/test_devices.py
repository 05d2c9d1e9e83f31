"""Devices: registered once by serial number, listed, changed, bound to one end user at a time (contract section 13)."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from datetime import datetime

import pytest

from shared.domain.ids import new_id

SHOWN = {
    "id", "project_id", "serial_number", "model", "name", "firmware_version", "status", "end_user_id", "bound_at",
    "binding_generation", "battery_percent", "storage_used_mb", "storage_total_mb", "signal_strength_dbm", "last_heartbeat_at",
    "recording_state", "metadata", "settings", "created_at", "updated_at", "deleted_at",
}  # fmt: skip


async def test_a_new_serial_number_is_201_and_a_known_one_200_with_the_device_as_it_is(api):
    body = {"serial_number": "SN-1", "model": "bota_note", "firmware_version": "1.2.0", "name": "Desk", "metadata": {"a": 1}}
    first = await api.call("POST", "/devices", body)
    again = await api.call("POST", "/devices", {**body, "name": "Other"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert set(first.json()) == SHOWN
    assert {name: first.json()[name] for name in body} == body
    assert (first.json()["status"], first.json()["end_user_id"], first.json()["binding_generation"]) == ("unbound", None, 0)


async def test_two_registrations_at_once_make_one_device(api):
    answers = await asyncio.gather(*(api.call("POST", "/devices", {"serial_number": "SN-2"}) for _ in range(5)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201]


async def test_a_registration_overtaken_by_another_returns_the_others_device(api, monkeypatch):
    known = await api.ok("POST", "/devices", {"serial_number": "SN-3"})
    by_serial_number, asked = api.stores.devices.by_serial_number, []

    async def blind_at_first(tenant, serial_number):
        asked.append(serial_number)
        return None if len(asked) == 1 else await by_serial_number(tenant, serial_number)

    monkeypatch.setattr(api.stores.devices, "by_serial_number", blind_at_first)
    answer = await api.call("POST", "/devices", {"serial_number": "SN-3"})
    assert (answer.status_code, answer.json()) == (200, known)


@pytest.mark.parametrize(("given", "model"), [({"device_type": "bota_pin_v1"}, "bota_pin"), ({}, "bota_pin")])
async def test_the_older_name_of_the_model_is_understood(api, given, model):
    assert (await api.ok("POST", "/devices", {"serial_number": "SN-4", **given}))["model"] == model


async def test_serial_numbers_of_test_and_live_devices_are_apart(api):
    live = await api.new_device(serial_number="SN-5")
    test = await api.new_key(api.project_id, mode="test")
    answer = await api.call("POST", "/devices", {"serial_number": "SN-5"}, secret=test)
    assert answer.status_code == 201
    assert (await api.refused("GET", f"/devices/{live}", secret=test))[:2] == (404, "not_found")


async def test_devices_are_listed_newest_first_and_by_end_user(api):
    someone = await api.new_end_user()
    mine = sorted([(await api.bound_device(someone))["id"] for _ in range(3)], reverse=True)
    free = await api.new_device()
    assert [one["id"] for one in (await api.ok("GET", "/devices"))["data"]] == [free, *mine]
    first = await api.ok("GET", f"/devices?limit=2&end_user_id={someone}")
    rest = await api.ok("GET", f"/devices?limit=2&end_user_id={someone}&cursor={first['next_cursor']}")
    assert [one["id"] for one in first["data"] + rest["data"]] == mine
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [one["id"] for one in (await api.ok("GET", "/devices?limit=2&offset=2"))["data"]] == mine[1:]
    assert (await api.ok("GET", f"/devices?end_user_id={new_id('eu')}"))["data"] == []


async def test_a_change_touches_what_it_names_and_null_clears(api):
    device = f"/devices/{await api.new_device(name='Desk', firmware_version='1.0', metadata={'a': 1})}"
    before = await api.ok("GET", device)
    changed = await api.ok("PATCH", device, {"firmware_version": "1.1", "settings": {"led": False}})
    moved = {name: changed[name] for name in SHOWN if changed[name] != before[name]}
    assert moved == {"firmware_version": "1.1", "settings": {"led": False}, "updated_at": changed["updated_at"]}
    cleared = await api.ok("PATCH", device, {"name": None, "metadata": None})
    assert (cleared["name"], cleared["metadata"], cleared["settings"]) == (None, {}, {"led": False})
    assert await api.ok("PATCH", device, {}) == cleared


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("POST", "", {}, "serial_number"),
        ("POST", "", {"serial_number": ""}, "serial_number"),
        ("POST", "", {"serial_number": "S", "model": "Has Spaces"}, "model"),
        ("POST", "", {"serial_number": "S", "name": "x" * 129}, "name"),
        ("PATCH", "/{device}", {"firmware_version": "x" * 33}, "firmware_version"),
        ("PATCH", "/{device}", {"settings": [1]}, "settings"),
        ("PATCH", "/{device}", {"settings": {"$a": 1}}, "settings"),
        ("POST", "/{device}/bind", {}, "end_user_id"),
        ("POST", "/{device}/heartbeat", {"battery_percent": 101}, "battery_percent"),
        ("POST", "/{device}/heartbeat", {"flags": 256}, "flags"),
        ("POST", "/{device}/heartbeat", {"device_state": "asleep"}, "device_state"),
        ("POST", "/{device}/heartbeat", {"connection_type": ["5g"]}, "connection_type"),
        ("POST", "/{device}/heartbeat", {"name": "x" * 65}, "name"),
        ("POST", "/{device}/commands", {"type": "explode"}, "type"),
        ("POST", "/{device}/commands", {"type": "stop_recording", "ttl": 0}, "ttl"),
        ("POST", "/{device}/commands", {"type": "start_recording", "params": {"max_duration_sec": 0}}, "params.max_duration_sec"),
        ("POST", "/{device}/commands", {"type": "start_recording", "params": {"metadata": {"$a": 1}}}, "params.metadata"),
    ],
)
async def test_a_wrong_field_is_refused_by_name(api, method, path, body, param):
    device = await api.new_device()
    status, code, error = await api.refused(method, "/devices" + path.format(device=device), body)
    assert (status, code) == (400, "invalid_request")
    assert error["param"].startswith(param)


async def test_binding_gives_a_token_that_is_shown_once_and_kept_as_a_hash(api):
    someone = await api.new_end_user()
    bound = await api.bound_device(someone)
    assert re.fullmatch("dtok_[a-z0-9]{32}", bound["device_token"])
    assert re.fullmatch("[0-9a-f]{64}", bound["grant_key"])
    assert (bound["status"], bound["end_user_id"], bound["binding_generation"]) == ("bound", someone, 1)
    assert bound["bound_at"] is not None
    shown = await api.ok("GET", f"/devices/{bound['id']}")
    assert shown == {name: value for name, value in bound.items() if name not in {"device_token", "grant_key"}}
    assert bound["device_token"] not in repr(api.stores.devices.rows)


async def test_a_device_of_another_end_user_is_not_bound(api):
    bound = await api.bound_device()
    other = await api.new_end_user()
    assert (await api.refused("POST", f"/devices/{bound['id']}/bind", {"end_user_id": other}))[:2] == (
        409,
        "device_already_bound",
    )
    await api.ok("POST", "/devices/me/heartbeat", {}, secret=bound["device_token"])


async def test_binding_again_to_the_same_end_user_gives_a_new_token_and_revokes_the_old(api):
    bound = await api.bound_device()
    await api.ok("POST", "/devices/me/heartbeat", {}, secret=bound["device_token"])  # so that it is remembered
    again = await api.ok("POST", f"/devices/{bound['id']}/bind", {"end_user_id": bound["end_user_id"]})
    assert again["device_token"] != bound["device_token"]
    assert (again["binding_generation"], again["bound_at"]) == (1, bound["bound_at"])
    assert (await api.refused("POST", "/devices/me/heartbeat", {}, secret=bound["device_token"]))[0] == 401
    await api.ok("POST", "/devices/me/heartbeat", {}, secret=again["device_token"])


async def test_of_two_end_users_at_once_one_gets_the_device(api):
    device, users = await api.new_device(), [await api.new_end_user() for _ in range(4)]
    answers = await asyncio.gather(*(api.call("POST", f"/devices/{device}/bind", {"end_user_id": user}) for user in users))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert (await api.ok("GET", f"/devices/{device}"))["binding_generation"] == 1


async def test_every_new_binding_counts_up(api):
    bound, other = await api.bound_device(), await api.new_end_user()
    freed = await api.ok("POST", f"/devices/{bound['id']}/unbind")
    assert (freed["status"], freed["end_user_id"], freed["bound_at"], freed["binding_generation"]) == ("unbound", None, None, 1)
    assert (await api.refused("POST", "/devices/me/heartbeat", {}, secret=bound["device_token"]))[0] == 401
    assert await api.ok("POST", f"/devices/{bound['id']}/unbind") == freed
    again = await api.ok("POST", f"/devices/{bound['id']}/bind", {"end_user_id": other})
    assert (again["binding_generation"], again["grant_key"] == bound["grant_key"]) == (2, False)


async def test_recordings_keep_their_end_user_when_the_device_goes_to_another(api):
    bound = await api.bound_device(first := await api.new_end_user())
    recording = await api.ok("POST", "/recordings", {}, secret=bound["device_token"])
    await api.ok("POST", f"/devices/{bound['id']}/unbind")
    await api.ok("POST", f"/devices/{bound['id']}/bind", {"end_user_id": await api.new_end_user()})
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["end_user_id"] == first


async def test_what_does_not_exist_is_not_found(api):
    nobody, device = new_id("eu"), await api.new_device()
    status, code, error = await api.refused("POST", f"/devices/{device}/bind", {"end_user_id": nobody})
    assert (status, code, error["param"]) == (404, "not_found", "end_user_id")
    missing = f"/devices/{new_id('dev')}"
    calls = [("GET", ""), ("PATCH", ""), ("POST", "/unbind"), ("POST", "/heartbeat"), ("GET", "/state"), ("GET", "/commands")]
    for method, path in calls:
        assert (await api.refused(method, missing + path))[:2] == (404, "not_found")
    for method, path in [*calls, ("POST", "/token/refresh")]:
        assert (await api.refused(method, f"/devices/me{path}"))[0] in {403, 404}, "a key is no device"


def claims_of(bound, token):
    """What a grant says, once the device of this binding has found it to be for itself."""
    signed, _, signature = token.rpartition(".")
    header, told = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in signed.split("."))
    expected = hmac.new(bytes.fromhex(bound["grant_key"]), signed.encode(), hashlib.sha256).digest()
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert hmac.compare_digest(base64.urlsafe_b64decode(signature + "=="), expected)
    return told


@pytest.mark.parametrize("nonce", ["7f3a9c", None])
async def test_a_phone_is_granted_access_to_a_bound_device_for_five_minutes(api, nonce):
    bound = await api.bound_device()
    answer = await api.ok("POST", f"/devices/{bound['id']}/grant", {} if nonce is None else {"nonce_d": nonce})
    told = claims_of(bound, answer["grant_token"])
    assert (told["sub"], told["nonce_d"], told["exp"] - told["iat"], answer["expires_in"]) == (bound["id"], nonce, 300, 300)
    assert datetime.fromisoformat(answer["expires_at"]).timestamp() == told["exp"]
    assert answer.keys() == {"grant_token", "expires_at", "expires_in"}
    again = await api.ok("POST", f"/devices/{bound['id']}/grant", {})
    assert claims_of(bound, again["grant_token"])["jti"] != told["jti"]


async def test_a_device_that_nobody_has_bound_can_check_no_grant(api):
    free = await api.new_device()
    assert (await api.refused("POST", f"/devices/{free}/grant", {}))[:2] == (409, "device_not_bound")
    assert (await api.refused("POST", "/devices/dev_none/grant", {}))[:2] == (404, "not_found")


@pytest.mark.parametrize("nonce", ["", "two words", "\u00e9", "7" * 257, 7])
async def test_a_nonce_that_is_none_is_refused(api, nonce):
    bound = await api.bound_device()
    status, code, error = await api.refused("POST", f"/devices/{bound['id']}/grant", {"nonce_d": nonce})
    assert (status, code, error["param"]) == (400, "invalid_request", "nonce_d")
