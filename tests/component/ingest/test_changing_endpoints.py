"""Webhook endpoints changed by their owner: PATCH, new secrets (A19)."""

import msgspec
import pytest

from shared.domain.errors import TransientFailure
from shared.domain.tenant import Mode, Tenant
from shared.domain.webhook import DisabledReason
from tests.component.ingest.test_managing_endpoints import GOOD


@pytest.fixture
async def endpoint(api):
    return await api.ok("POST", "/webhook-endpoints", {**GOOD, "description": "mine", "metadata": {"team": "a"}})


@pytest.fixture(params=["/webhook-endpoints", "/webhooks"])
def path(request, endpoint):
    """The endpoint under both names."""
    return f"{request.param}/{endpoint['id']}"


def tenant(api):
    return Tenant(api.project_id, Mode.LIVE)


async def disable(api, endpoint, reason=DisabledReason.FAILING):
    """Disable it as the webhook stage does."""
    kept = api.stores.endpoints.rows[endpoint["id"]]
    api.stores.endpoints.rows[endpoint["id"]] = kept.disabled(reason)


async def test_what_a_change_does_not_name_stays(api, path, endpoint):
    changed = await api.ok("PATCH", path, {"events": ["recording.created", "recording.created"]})
    assert changed["events"] == ["recording.created"]
    same = set(changed) - {"events", "updated_at"}
    assert {name: changed[name] for name in same} == {name: endpoint[name] for name in same}
    assert "secret" not in changed


async def test_a_change_that_is_overtaken_again_and_again_is_made_all_the_same(api, path, endpoint, monkeypatch):
    endpoints, overtaken = api.stores.endpoints, []
    save = endpoints.save

    async def late(before, after):
        if len(overtaken) < 20:
            overtaken.append(before)
            await save(before, before.changed(description=f"{len(overtaken)}"))
        await save(before, after)

    monkeypatch.setattr(endpoints, "save", late)
    changed = await api.ok("PATCH", path, {"metadata": {"team": "b"}})
    assert (changed["metadata"], changed["description"]) == ({"team": "b"}, "20")


async def test_null_empties_what_may_be_empty(api, path):
    changed = await api.ok("PATCH", path, {"description": None, "metadata": None})
    assert (changed["description"], changed["metadata"]) == (None, {})


@pytest.mark.parametrize("change", [{}, {"url": GOOD["url"]}, {"status": "enabled"}, {"unknown": 1}])
async def test_a_change_of_nothing_changes_nothing(api, path, endpoint, change):
    changed = await api.ok("PATCH", path, change)
    assert changed == {name: value for name, value in endpoint.items() if name != "secret"}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"url": None}, "url"),
        ({"url": "http://customer.example/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"events": []}, "events"),
        ({"events": None}, "events"),
        ({"events": ["upload.claimed"]}, "events"),
        ({"status": "paused"}, "status"),
        ({"metadata": {"$a": 1}}, "metadata"),
    ],
)
async def test_a_wrong_change_is_refused_by_name_and_changes_nothing(api, path, change, param):
    before = await api.ok("GET", path)
    status, code, error = await api.refused("PATCH", path, {"description": "other", **change})
    assert (status, code, error["param"]) == (400, "invalid_request", param)
    assert await api.ok("GET", path) == before


async def test_an_owner_disables_and_enables(api, path):
    disabled = await api.ok("PATCH", path, {"status": "disabled"})
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "requested")
    assert disabled["disabled_at"] is not None
    assert await api.ok("PATCH", path, {"status": "disabled"}) == disabled
    enabled = await api.ok("PATCH", path, {"status": "enabled"})
    assert (enabled["status"], enabled["disabled_reason"], enabled["disabled_at"]) == ("enabled", None, None)


async def test_one_disabled_by_failures_says_why_and_goes_on_when_enabled(api, path, endpoint):
    await disable(api, endpoint)
    shown = await api.ok("GET", path)
    assert (shown["disabled_reason"], shown["disabled_at"] is not None) == ("failing", True)
    assert (await api.ok("PATCH", path, {"status": "disabled"}))["disabled_reason"] == "failing"
    assert endpoint["id"] not in api.stores.deliveries.resumed
    enabled = await api.ok("PATCH", path, {"status": "enabled"})
    assert enabled["failing_since"] is None
    assert api.stores.deliveries.resumed.count(endpoint["id"]) == 1


async def test_what_waited_goes_on_though_an_outage_came_between_at_first(api, path, endpoint, monkeypatch):
    async def away(_endpoint_id):
        monkeypatch.undo()
        raise TransientFailure("mongod is away")

    await api.ok("PATCH", path, {"status": "disabled"})
    monkeypatch.setattr(api.stores.deliveries, "resume", away)
    refused = await api.refused("PATCH", path, {"status": "enabled"})
    assert refused[:2] == (503, "service_unavailable")
    shown = await api.ok("GET", path)
    assert await api.ok("PATCH", path, {"status": "enabled"}) == shown
    assert api.stores.deliveries.resumed.count(endpoint["id"]) == 1
    assert await api.ok("PATCH", path, {"status": "enabled"}) == shown
    assert api.stores.deliveries.resumed.count(endpoint["id"]) == 1  # what is tried again by its schedule is left to that


async def test_a_change_that_meets_another_is_decided_anew(api, path, endpoint):
    async def meanwhile():
        await disable(api, endpoint, DisabledReason.GONE)

    api.stores.endpoints.before_saving = meanwhile
    changed = await api.ok("PATCH", path, {"description": "other"})
    assert (changed["description"], changed["status"], changed["disabled_reason"]) == ("other", "disabled", "gone")


async def test_a_new_secret_is_shown_once_and_the_old_one_lives_on_for_a_while(api, path, endpoint):
    rotated = await api.ok("POST", f"{path}/rotate-secret")
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != endpoint["secret"]
    assert "secret" not in await api.ok("GET", path)
    first, second = api.stores.endpoints.rows[endpoint["id"]].secrets
    assert (first.value, first.expires_at) == (rotated["secret"], None)
    assert second.value == endpoint["secret"]
    assert (second.expires_at - first.created_at).total_seconds() == 86_400


async def test_a_second_rotation_ends_no_secret_sooner(api, path, endpoint):
    middle = await api.ok("POST", f"{path}/rotate-secret", {"grace_s": 60})
    newest = await api.ok("POST", f"{path}/rotate-secret")
    kept = api.stores.endpoints.rows[endpoint["id"]].secrets
    assert [secret.value for secret in kept] == [newest["secret"], middle["secret"], endpoint["secret"]]
    assert kept[2].expires_at < kept[1].expires_at


async def test_a_leaked_secret_can_be_ended_at_once(api, path, endpoint):
    await api.ok("POST", f"{path}/rotate-secret")
    newest = await api.ok("POST", f"{path}/rotate-secret", {"grace_s": 0})
    assert [secret.value for secret in api.stores.endpoints.rows[endpoint["id"]].secrets] == [newest["secret"]]


async def test_secrets_that_do_not_open_are_kept_until_their_owner_gives_them_up(api, path, endpoint):
    row = api.stores.endpoints.rows[endpoint["id"]]
    api.stores.endpoints.rows[endpoint["id"]] = msgspec.structs.replace(row, secrets=())  # as the store reads them
    assert (await api.refused("POST", f"{path}/rotate-secret"))[:2] == (503, "service_unavailable")
    assert (await api.ok("GET", path))["id"] == endpoint["id"]
    newest = await api.ok("POST", f"{path}/rotate-secret", {"grace_s": 0})
    assert [secret.value for secret in api.stores.endpoints.rows[endpoint["id"]].secrets] == [newest["secret"]]


async def test_rotating_without_end_is_refused_before_it_ends_a_secret_in_use(api, path, endpoint):
    for _ in range(9):
        await api.ok("POST", f"{path}/rotate-secret")
    assert (await api.refused("POST", f"{path}/rotate-secret"))[:2] == (409, "limit_reached")
    assert api.stores.endpoints.rows[endpoint["id"]].secrets[-1].value == endpoint["secret"]
    await api.ok("POST", f"{path}/rotate-secret", {"grace_s": 0})


@pytest.mark.parametrize("body", [{"grace_s": -1}, {"grace_s": 10**9}, {"grace_s": "1"}])
async def test_a_wrong_grace_is_refused(api, path, body):
    assert (await api.refused("POST", f"{path}/rotate-secret", body))[2]["param"] == "grace_s"


@pytest.mark.parametrize(
    ("method", "rest"), [("PATCH", ""), ("POST", "/rotate-secret"), ("POST", "/test"), ("GET", "/deliveries")]
)
async def test_anothers_endpoint_looks_as_if_it_did_not_exist(api, path, method, rest):
    organization = await api.admin("POST", "/organizations", {"name": "Other"})
    other = await api.new_key(await api.new_project(organization["id"]))
    test_mode = await api.new_key(api.project_id, mode="test")
    for secret in (other, test_mode):
        assert (await api.refused(method, path + rest, secret=secret))[:2] == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "rest", "scope"),
    [
        ("PATCH", "", "webhooks:write"),
        ("POST", "/rotate-secret", "webhooks:write"),
        ("POST", "/test", "webhooks:write"),
        ("GET", "/deliveries", "webhooks:read"),
    ],
)
async def test_each_needs_its_scope(api, path, method, rest, scope):
    other = {"webhooks:write": "webhooks:read", "webhooks:read": "webhooks:write"}[scope]
    key = await api.new_key(api.project_id, scopes=[other, "recordings:write"])
    status, code, error = await api.refused(method, path + rest, secret=key)
    assert (status, code, error["details"]) == (403, "forbidden", {"required_scope": scope})
