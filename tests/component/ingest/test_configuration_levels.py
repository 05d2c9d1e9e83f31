"""Configuration of organizations, projects, end users and devices: who may say what, and what counts then (section 16)."""

import asyncio

import pytest

from shared.domain.config.levels import ConfigLevel, ConfigSubject
from shared.domain.config.sections import SECTIONS
from shared.domain.tenant import Tenant
from tests.fakes.configs import say

LEVELS = ("organization", "project", "end_user", "device")


@pytest.fixture
async def world(api):
    """The paths of one subject per level, the device bound to the end user."""
    project = await api.admin("GET", f"/projects/{api.project_id}")
    user = await api.ok("POST", "/end-users", {"name": "Ada"})
    device = await api.ok("POST", "/devices", {"serial_number": f"SN-{api.project_id}", "model": "bota_pin"})
    await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": user["id"]})
    return {
        "organization": f"/organizations/{project['organization_id']}/config",
        "project": f"/projects/{api.project_id}/config",
        "end_user": f"/end-users/{user['id']}/config",
        "device": f"/devices/{device['id']}/config",
    }


def secret_for(api, level):
    return api.admin_token if level == "organization" else api.secret


async def put(api, world, level, section, body):
    return await api.ok("PUT", f"{world[level]}/{section}", body, secret=secret_for(api, level))


async def shown(api, world, section):
    found = [await api.ok("GET", f"{world[level]}/{section}") for level in LEVELS]
    return [(item["value"], item["source"]) for item in found]


async def test_the_most_specific_level_wins_key_by_key(api, world):
    for number, level in enumerate(LEVELS):
        await put(api, world, level, "upload", {"streaming_chunk_kb": 100 + number})
        await put(api, world, level, "upload", {("allow_roaming" if number == 1 else "streaming_enabled"): number < 3})
    values = await shown(api, world, "upload")
    assert [source for _, source in values] == list(LEVELS)
    assert [value["streaming_chunk_kb"] for value, _ in values] == [100, 101, 102, 103]
    assert [(value["streaming_enabled"], value["allow_roaming"]) for value, _ in values] == [
        (True, False),
        (True, True),
        (True, True),
        (False, True),
    ]


async def test_the_strictest_daily_limit_counts_and_none_is_no_limit(api, world):
    for level, limit in zip(LEVELS, (500, 1000, 0, 200), strict=True):
        answer = await put(api, world, level, "upload", {"daily_data_limit_mb": limit})
        assert answer["value"]["daily_data_limit_mb"] == (200 if level == "device" else 500)
    assert [value["daily_data_limit_mb"] for value, _ in await shown(api, world, "upload")] == [500, 500, 500, 200]


async def test_a_stricter_security_policy_above_stands_and_end_users_have_none_of_their_own(api, world):
    await put(api, world, "organization", "upload_security", {"encrypted_upload_policy": "v2_preferred"})
    await put(api, world, "device", "upload_security", {"encrypted_upload_policy": "legacy_allowed"})
    status, code, error = await api.refused("PUT", f"{world['end_user']}/upload_security", {})
    assert (status, code, error["param"]) == (404, "not_found", "section")
    assert error["details"] == {"levels": ["organization", "project", "device"]}
    for call in (("DELETE", "upload_security"), ("GET", "upload_security/history")):
        assert (await api.refused(call[0], f"{world['end_user']}/{call[1]}"))[0] == 404
    assert {value["encrypted_upload_policy"] for value, _ in await shown(api, world, "upload_security")} == {"v2_preferred"}


async def test_an_unbound_device_does_not_hear_its_former_end_user(api, world):
    await put(api, world, "end_user", "processing", {"auto_transcription": {"enabled": True}})
    assert (await api.ok("GET", f"{world['device']}/processing"))["source"] == "end_user"
    await api.ok("POST", world["device"].replace("config", "unbind"))
    assert (await api.ok("GET", f"{world['device']}/processing"))["source"] == "default"


async def test_all_sections_come_at_once_as_each_alone(api, world):
    await put(api, world, "end_user", "connection", {"enabled_connections": {"cellular": False}})
    for path in (*world.values(), "/config"):
        everything = (await api.ok("GET", path))["data"]
        assert everything == {name: await api.ok("GET", f"{path}/{name}") for name in SECTIONS}


async def test_the_short_path_is_the_keys_own_project(api, world):
    await put(api, world, "project", "processing", {"auto_embedding": {"enabled": True}})
    assert await api.ok("GET", "/config/processing") == await api.ok("GET", f"{world['project']}/processing")


async def test_the_schema_tells_of_every_section(api):
    sections = (await api.ok("GET", "/config/schema"))["data"]
    assert [item["section"] for item in sections] == list(SECTIONS)
    for item in sections:
        assert await api.ok("GET", f"/config/schema/{item['section']}") == item
        assert set(item) >= {"section", "description", "defaults", "levels", "merge_strategy"}
        assert set(item["schema"]["properties"]) == set(item["defaults"])
        assert "$ref" not in str(item)
    limit = sections[1]["schema"]["properties"]["daily_data_limit_mb"]
    assert (limit["merge_strategy"], limit["unlimited"], limit["maximum"]) == ("min", 0, 10_000)
    policy = sections[3]["schema"]["properties"]["encrypted_upload_policy"]
    assert policy["enum"] == ["legacy_allowed", "v2_preferred", "v2_required"]
    assert (await api.refused("GET", "/config/schema/colours"))[:2] == (404, "not_found")


async def test_an_organization_is_read_by_its_projects_and_changed_by_the_operator(api, world):
    path = f"{world['organization']}/upload"
    assert (await api.ok("GET", path))["source"] == "default"
    for method in ("PUT", "DELETE"):
        assert (await api.refused(method, path, {}))[:2] == (403, "forbidden")
    changed = await api.ok("PUT", path, {"allow_roaming": True}, secret=api.admin_token)
    assert (changed["source"], await api.ok("GET", path, secret=api.admin_token)) == ("organization", changed)
    assert (await api.ok("GET", "/config/upload"))["source"] == "organization"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_foreign_subject_looks_like_a_missing_one(api, world, method):
    mine = api.secret
    test_key = await api.new_key(api.project_id, mode="test")
    await api.open()
    for path in world.values():
        for secret in (api.secret, test_key if path.startswith(("/end-users", "/devices")) else api.secret):
            foreign, missing = f"{path}/upload", f"{path.replace(path.split('/')[2], 'nobody')}/upload"
            answers = [await api.refused(method, where, {}, secret=secret) for where in (foreign, missing)]
            of_operator = path.startswith("/organizations/") and method != "GET"
            assert [answer[:2] for answer in answers] == [(403, "forbidden") if of_operator else (404, "not_found")] * 2
            assert answers[0][2]["message"] == answers[1][2]["message"]
        assert (await api.call("GET", f"{path}/upload", secret=mine)).status_code == 200


async def test_the_operator_has_no_key_to_projects_and_finds_no_organization_that_is_not_there(api, world):
    for level in LEVELS[1:]:
        assert (await api.refused("GET", f"{world[level]}/upload", secret=api.admin_token))[0] == 401
    answer = await api.refused("PUT", "/organizations/org_nobody/config/upload", {}, secret=api.admin_token)
    assert answer[:2] == (404, "not_found")
    assert (await api.refused("GET", f"{world['organization']}/upload", secret="not-the-token"))[:2] == (401, "unauthorized")


async def test_scopes_are_asked_for_at_every_level(api, world):
    reader = await api.new_key(api.project_id, scopes=["config:read"])
    nobody = await api.new_key(api.project_id, scopes=["devices:write"])
    for level, path in world.items():
        needs = {"required_credential": "admin_token"} if level == "organization" else {"required_scope": "config:write"}
        for call in (("GET", path), ("GET", f"{path}/upload"), ("GET", f"{path}/upload/history")):
            assert (await api.call(*call, secret=reader)).status_code == 200
            assert (await api.refused(*call, secret=nobody))[2]["details"] == {"required_scope": "config:read"}
        for method in ("PUT", "DELETE"):
            refusal = await api.refused(method, f"{path}/upload", {}, secret=reader)
            assert refusal[2]["details"] == needs


async def test_test_mode_is_configured_apart(api, world):
    test_key = await api.new_key(api.project_id, mode="test")
    path = f"{world['project']}/processing"
    await api.ok("PUT", path, {"auto_transcription": {"enabled": True}}, secret=test_key)
    assert (await api.ok("GET", path))["source"] == "default"
    assert (await api.ok("GET", path, secret=test_key))["source"] == "project"


async def test_a_network_named_twice_is_refused(api, world):
    body = {"upload_network_preference": ["ble", "ble"]}
    status, _, error = await api.refused("PUT", f"{world['device']}/connection", body)
    assert (status, error["param"]) == (400, "upload_network_preference")


async def test_what_was_read_can_be_sent_back_though_levels_combined_to_a_network_twice(api, world):
    await put(api, world, "project", "connection", {"upload_network_preference": ["ble"]})
    read = (await api.ok("GET", f"{world['device']}/connection"))["value"]
    assert read["upload_network_preference"] == ["ble", "ble", "cellular"]
    sent_back = await put(api, world, "device", "connection", read | {"enabled_connections": {"wifi": False, "cellular": True}})
    assert sent_back["value"] == read | {"enabled_connections": {"wifi": False, "cellular": True}}
    body = {"upload_network_preference": ["wifi", "ble", "ble"]}
    assert (await api.refused("PUT", f"{world['device']}/connection", body))[0] == 400


async def test_every_change_is_on_record_with_who_what_when_and_in_which_request(api, world):
    for level in LEVELS:
        path = f"{world[level]}/upload"
        secret = secret_for(api, level)
        first = await api.call("PUT", path, {"allow_roaming": True}, secret=secret)
        again = await api.call("PUT", path, {"allow_roaming": True, "nonsense": 1}, secret=secret)  # changes nothing
        await api.ok("PUT", path, {"daily_data_limit_mb": 5}, secret=secret)
        for _ in range(2):
            assert (await api.call("DELETE", path, secret=secret)).status_code == 204
        assert first.json() == again.json()
        reset, second, begun = (await api.ok("GET", f"{path}/history", secret=secret))["data"]
        assert (begun["before"], begun["after"]) == (None, {"allow_roaming": True})
        assert (second["before"], second["after"]) == (begun["after"], {"allow_roaming": True, "daily_data_limit_mb": 5})
        assert (reset["before"], reset["after"]) == (second["after"], None)
        assert [item["version"] for item in (begun, second, reset)] == [1, 2, 3]
        assert (begun["level"], begun["section"], begun["request_id"]) == (level, "upload", first.headers["X-Request-Id"])
        assert begun["subject_id"] == path.split("/")[2]
        kind = begun["changed_by"]
        assert kind["kind"] == ("operator" if level == "organization" else "secret_key")
        assert (kind["credential_id"] is None) == (level == "organization")


async def test_the_history_comes_in_pages(api, world):
    path = f"{world['project']}/upload"
    for number in range(5):
        await api.ok("PUT", path, {"streaming_chunk_kb": 64 + number})
    first = await api.ok("GET", f"{path}/history?limit=2")
    second = await api.ok("GET", f"{path}/history?limit=2&cursor={first['next_cursor']}")
    third = await api.ok("GET", f"{path}/history?limit=2&offset=4")
    assert [item["version"] for page in (first, second, third) for item in page["data"]] == [5, 4, 3, 2, 1]
    assert (first["has_more"], third["has_more"]) == (True, False)
    foreign = f"{world['device']}/upload/history?cursor={first['next_cursor']}"
    assert (await api.refused("GET", foreign))[:2] == (400, "invalid_request")


async def test_a_change_stands_on_record_though_the_audit_was_away(api, world):
    api.stores.configs.audit_down = True
    try:
        await put(api, world, "project", "upload", {"allow_roaming": True})
        assert api.stores.configs.unfiled
    finally:
        api.stores.configs.audit_down = False
    (change,) = (await api.ok("GET", f"{world['project']}/upload/history"))["data"]
    assert change["after"] == {"allow_roaming": True}


async def test_a_change_that_was_overtaken_is_decided_anew(api, world):
    path = f"{world['project']}/upload"

    async def overtake():  # as another replica does
        subject = ConfigSubject(ConfigLevel.PROJECT, api.project_id, Tenant(api.project_id))
        await say(api.stores.configs, subject, "upload", {"streaming_chunk_kb": 512})

    api.stores.configs.overtaking = overtake
    answer = await api.ok("PUT", path, {"allow_roaming": True})
    assert (answer["value"]["streaming_chunk_kb"], answer["value"]["allow_roaming"]) == (512, True)
    later, earlier = (await api.ok("GET", f"{path}/history"))["data"]
    assert later["before"] == earlier["after"] == {"streaming_chunk_kb": 512}


async def test_changes_at_once_all_count(api, world):
    bodies = ({"streaming_chunk_kb": 300}, {"allow_roaming": True}, {"daily_data_limit_mb": 7}, {"pause_on_low_battery": False})
    await asyncio.gather(*(put(api, world, "project", "upload", body) for body in bodies))
    value = (await api.ok("GET", f"{world['project']}/upload"))["value"]
    assert all(body.items() <= value.items() for body in bodies)


async def test_a_level_is_not_blamed_for_what_another_says_of_something_else(api, world):
    await put(api, world, "organization", "processing", {"auto_transcription": {"language": "de"}})
    stored = api.stores.configs.overrides
    key = next(key for key in stored if key.startswith("organization") and key.endswith("processing"))
    stored[key].value["auto_transcription"]["provider"] = "deepgram"  # as if that provider had been there at the time
    answer = await put(api, world, "project", "processing", {"auto_embedding": {"enabled": True}})
    assert answer["value"]["auto_transcription"]["provider"] == "deepgram"
