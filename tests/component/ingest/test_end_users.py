"""End users: one for each external id, found by it, and gone with their devices once deleted (contract section 14)."""

import pytest

from shared.domain.ids import new_id
from shared.domain.tenant import Mode, Tenant

FULL = {"external_id": "crm-42", "email": "ada@example.com", "name": "Ada", "metadata": {"ward": [3]}}


async def test_a_new_end_user_is_answered_with_201_and_read_back(api):
    response = await api.call("POST", "/end-users", FULL)
    made = response.json()
    assert response.status_code == 201
    assert made["id"].startswith("eu_")
    assert {name: made[name] for name in FULL} == FULL
    assert (made["project_id"], made["deleted_at"]) == (api.project_id, None)
    assert await api.ok("GET", f"/end-users/{made['id']}") == made


@pytest.mark.parametrize("body", [{}, {"external_id": None, "email": None, "name": None, "metadata": None}])
async def test_nothing_is_required_and_what_is_not_told_is_null(api, body):
    made = await api.ok("POST", "/end-users", body)
    assert [made[name] for name in FULL] == [None] * 4


async def test_end_users_without_an_external_id_are_as_many_as_one_likes(api):
    assert await api.new_end_user() != await api.new_end_user()


async def test_an_external_id_is_one_end_users_only_until_it_is_deleted(api):
    first = await api.new_end_user(external_id="crm-1")
    status, code, error = await api.refused("POST", "/end-users", {"external_id": "crm-1"})
    assert (status, code, error["param"]) == (409, "resource_already_exists", "external_id")
    assert (await api.call("DELETE", f"/end-users/{first}")).status_code == 204
    second = await api.new_end_user(external_id="crm-1")
    assert [one["id"] for one in (await api.ok("GET", "/end-users?external_id=crm-1"))["data"]] == [second]


async def test_an_external_id_may_be_used_again_in_another_project_and_in_the_other_mode(api):
    await api.new_end_user(external_id="crm-1")
    organization = await api.admin("POST", "/organizations", {"name": "Other"})
    for secret in (await api.new_key(await api.new_project(organization["id"])), await api.new_key(api.project_id, mode="test")):
        made = await api.call("POST", "/end-users", {"external_id": "crm-1"}, secret=secret)
        assert made.status_code == 201
        page = await api.ok("GET", "/end-users", secret=secret)
        assert [one["id"] for one in page["data"]] == [made.json()["id"]]


async def test_the_filter_by_external_id_is_exact_and_ends_at_once(api):
    made = await api.new_end_user(external_id="Crm-7")
    await api.new_end_user(external_id="Crm-77")
    page = await api.ok("GET", "/end-users?external_id=Crm-7")
    assert ([one["id"] for one in page["data"]], page["has_more"], page["next_cursor"]) == ([made], False, None)
    for other in ("crm-7", "Crm-", "Crm-7%20"):
        assert (await api.ok("GET", f"/end-users?external_id={other}"))["data"] == []
    assert (await api.ok("GET", "/end-users?external_id=Crm-7&offset=1"))["data"] == []


async def test_end_users_are_listed_newest_first_by_cursor_and_by_offset(api):
    made = sorted([await api.new_end_user() for _ in range(5)], reverse=True)
    first = await api.ok("GET", "/end-users?limit=2")
    rest = await api.ok("GET", f"/end-users?limit=9&cursor={first['next_cursor']}")
    assert [one["id"] for one in first["data"] + rest["data"]] == made
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    assert [one["id"] for one in (await api.ok("GET", "/end-users?limit=2&offset=3"))["data"]] == made[3:]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("external_id", ""),
        ("external_id", "x" * 256),
        ("external_id", 7),
        ("email", "nobody"),
        ("email", "two@at@signs"),
        ("email", "a@" + "x" * 320),
        ("name", "x" * 256),
        ("metadata", []),
        ("metadata", {"$where": 1}),
    ],
)
async def test_a_wrong_field_is_refused_by_name(api, field, value):
    status, code, error = await api.refused("POST", "/end-users", {field: value})
    assert (status, code, error["param"]) == (400, "invalid_request", field)


async def test_a_deleted_end_user_is_gone_and_nothing_of_the_person_is_kept(api):
    made = await api.ok("POST", "/end-users", FULL)
    answer = await api.call("DELETE", f"/end-users/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.refused("GET", f"/end-users/{made['id']}"))[:2] == (404, "not_found")
    assert (await api.refused("DELETE", f"/end-users/{made['id']}"))[:2] == (404, "not_found")
    assert (await api.ok("GET", "/end-users"))["data"] == []
    kept = api.stores.end_users.rows[Tenant(api.project_id, Mode.LIVE), made["id"]]
    assert (kept.external_id, kept.email, kept.name, kept.metadata) == (None, None, None, None)
    assert kept.erasure_due_at == kept.deleted_at


async def test_deleting_an_end_user_unbinds_its_devices_and_their_tokens_die(api):
    someone = await api.new_end_user()
    bound = [await api.bound_device(someone) for _ in range(2)]
    token = bound[0]["device_token"]
    await api.ok("POST", "/devices/me/heartbeat", {}, secret=token)
    await api.call("DELETE", f"/end-users/{someone}")
    for device in bound:
        shown = await api.ok("GET", f"/devices/{device['id']}")
        assert (shown["status"], shown["end_user_id"], shown["binding_generation"]) == ("unbound", None, 1)
    assert (await api.refused("POST", "/devices/me/heartbeat", {}, secret=token))[:2] == (401, "unauthorized")


async def test_an_outage_while_devices_are_unbound_does_not_undo_the_deletion(api):
    someone = await api.new_end_user()
    await api.bound_device(someone)
    api.stores.devices.down = True
    try:
        assert (await api.call("DELETE", f"/end-users/{someone}")).status_code == 204
    finally:
        api.stores.devices.down = False
    assert (await api.refused("GET", f"/end-users/{someone}"))[:2] == (404, "not_found")


async def test_nothing_is_recorded_of_a_deleted_end_user(api):
    someone = await api.new_end_user()
    await api.recording(end_user_id=someone)
    await api.call("DELETE", f"/end-users/{someone}")
    status, code, error = await api.refused("POST", "/recordings", {"end_user_id": someone})
    assert (status, code, error["param"]) == (404, "not_found", "end_user_id")


@pytest.mark.parametrize(("method", "scope"), [("GET", "end_users:read"), ("DELETE", "end_users:write")])
async def test_a_key_without_the_scope_learns_nothing(api, method, scope):
    others = [name for name in ("end_users:read", "end_users:write", "devices:write") if name != scope]
    limited = await api.new_key(api.project_id, scopes=others)
    for end_user_id in (await api.new_end_user(), new_id("eu")):
        status, code, error = await api.refused(method, f"/end-users/{end_user_id}", secret=limited)
        assert (status, code, error["details"]) == (403, "forbidden", {"required_scope": scope})
