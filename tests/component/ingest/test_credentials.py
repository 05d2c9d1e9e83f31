"""Who may do what: keys, scopes, modes, revocation, and that what one may not see does not exist (contract A4, A5)."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from services.ingest.authentication import AdminGate, Authenticate
from services.ingest.refusals import Unauthorized
from services.ingest.settings import ApiSettings
from shared.domain.caller import SCOPES, ApiKey, KeyKind, new_secret
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id
from shared.domain.secret import secret_sha256
from shared.domain.tenant import Mode
from tests.fakes.ingest import FakeKeys

SCOPED = [
    ("POST", "/recordings", "recordings:write"),
    ("GET", "/recordings", "recordings:read"),
    ("GET", "/recordings/rec_x", "recordings:read"),
    ("POST", "/recordings/rec_x/upload-url", "recordings:write"),
    ("POST", "/recordings/rec_x/upload-complete", "recordings:write"),
    ("POST", "/recordings/rec_x/finalize", "recordings:write"),
    ("POST", "/recordings/rec_x/chunk-urls", "recordings:write"),
    ("GET", "/recordings/rec_x/chunks", "recordings:read"),
    ("POST", "/recordings/rec_x/transcribe", "transcriptions:write"),
    ("POST", "/transcriptions", "transcriptions:write"),
    ("GET", "/transcriptions/txn_x", "transcriptions:read"),
    ("GET", "/projects/proj_x/config/processing", "config:read"),
    ("PUT", "/projects/proj_x/config/processing", "config:write"),
    ("DELETE", "/projects/proj_x/config/processing", "config:write"),
    ("POST", "/webhook-endpoints", "webhooks:write"),
    ("GET", "/webhook-endpoints", "webhooks:read"),
    ("GET", "/webhooks/we_x", "webhooks:read"),
    ("DELETE", "/webhooks/we_x", "webhooks:write"),
]
ADMIN = [
    ("POST", "/admin/organizations"),
    ("GET", "/admin/projects"),
    ("POST", "/admin/projects/proj_x/api-keys"),
    ("DELETE", "/admin/projects/proj_x/api-keys/key_x"),
]


@pytest.mark.parametrize(("method", "path"), [case[:2] for case in SCOPED] + ADMIN)
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer nonsense", "Bearer sk_live_" + "x" * 40, "é"]
)
async def test_without_a_valid_credential_nothing_is_served(api, method, path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    response = await api.call(method, path, secret="", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/recordings"), ("POST", "/recordings?q=1"), ("GET", "/recordings"), *ADMIN]
)
async def test_two_credentials_in_one_request_are_none(api, method, path):
    """A proxy and a service behind it could each take another one of them for who calls."""
    mine = api.admin_token if path.startswith("/admin") else api.secret
    for other in (mine, "sk_live_" + "x" * 40):
        headers = [("Authorization", f"Bearer {mine}"), ("Authorization", f"Bearer {other}")]
        response = await api.client.request(method, f"{api.url}/v1{path}", headers=headers, content=b"{}")
        assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
        assert "more than once" in response.json()["error"]["message"]


@pytest.mark.parametrize(("method", "path", "scope"), SCOPED)
async def test_a_key_without_the_scope_is_told_which_it_needs(api, method, path, scope):
    others = [item for item in SCOPES if item != scope]
    restricted = await api.new_key(api.project_id, scopes=others)
    assert restricted.startswith("rk_live_")
    status, code, error = await api.refused(method, path, secret=restricted)
    assert (status, code, error["details"]) == (403, "forbidden", {"required_scope": scope})


@pytest.mark.parametrize(("method", "path", "scope"), SCOPED)
async def test_a_key_with_only_the_scope_gets_past_the_guard(api, method, path, scope):
    restricted = await api.new_key(api.project_id, scopes=[scope])
    assert (await api.call(method, path, secret=restricted)).status_code not in {401, 403}


@pytest.mark.parametrize(("method", "path"), ADMIN)
async def test_a_projects_key_is_no_admin_token(api, method, path):
    assert (await api.refused(method, path))[:2] == (401, "unauthorized")


@pytest.mark.parametrize("token", ["pässwörter-für-uns", "sésame, ouvre-toi à", "plain-and-long-enough"])
def test_an_admin_token_of_any_letters_opens_as_it_is_sent(token):
    AdminGate(token).check(f"Bearer {token}".encode().decode("latin-1"))  # as the bytes of a header are read
    with pytest.raises(Unauthorized):
        AdminGate(token).check(f"Bearer {token}x".encode().decode("latin-1"))


async def test_the_admin_token_is_no_projects_key(api):
    assert (await api.refused("GET", "/recordings", secret=api.settings.admin_token))[:2] == (401, "unauthorized")


async def foreign_keys(api):
    organization = await api.admin("POST", "/organizations", {"name": "Other"})
    other_project = await api.new_key(await api.new_project(organization["id"]))
    other_mode = await api.new_key(api.project_id, mode="test")
    return other_project, other_mode


async def test_what_is_another_tenants_answers_like_what_does_not_exist(api):
    recording, endpoint = (
        await api.recording(streaming=True),
        await api.ok("POST", "/webhooks", {"url": "https://a.b/", "events": ["*"]}),
    )
    paths = [
        ("GET", f"/recordings/{recording['id']}", None),
        ("GET", f"/recordings/{recording['id']}/chunks", None),
        ("POST", f"/recordings/{recording['id']}/upload-url", {}),
        ("POST", f"/recordings/{recording['id']}/upload-complete", {}),
        ("POST", f"/recordings/{recording['id']}/chunk-urls", {"from": 1, "count": 1}),
        ("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 1, "final_duration_ms": 1}),
        ("POST", f"/recordings/{recording['id']}/transcribe", {}),
        ("GET", f"/webhooks/{endpoint['id']}", None),
        ("DELETE", f"/webhooks/{endpoint['id']}", None),
    ]
    for secret in await foreign_keys(api):
        assert (await api.ok("GET", "/recordings", secret=secret))["data"] == []
        for method, path, body in paths:
            foreign = await api.call(method, path, body, secret=secret, headers={"X-Request-Id": "same"})
            assert foreign.status_code == 404
            known, _, rest = path[1:].partition("/")
            missing_id = recording["id"][:-1] + "!" if known == "recordings" else endpoint["id"][:-1] + "!"
            missing_path = path.replace(rest.partition("/")[0], missing_id)
            missing = await api.call(method, missing_path, body, secret=secret, headers={"X-Request-Id": "same"})
            assert foreign.content.replace(rest.partition("/")[0].encode(), missing_id.encode()) == missing.content


async def test_a_projects_configuration_is_one_for_both_modes_and_nobody_elses(api):
    path = f"/projects/{api.project_id}/config/processing"
    other_project, other_mode = await foreign_keys(api)
    assert (await api.refused("GET", path, secret=other_project))[:2] == (404, "not_found")
    assert (await api.ok("GET", path, secret=other_mode))["source"] == "default"


async def test_a_revoked_key_is_refused_at_once_where_it_was_revoked(api):
    keys = await api.admin("GET", f"/projects/{api.project_id}/api-keys")
    assert (await api.call("GET", "/recordings")).status_code == 200
    await api.admin("DELETE", f"/projects/{api.project_id}/api-keys/{keys['data'][0]['id']}")
    assert (await api.refused("GET", "/recordings"))[:2] == (401, "unauthorized")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


async def a_key(keys, **fields):
    secret = new_secret(KeyKind.SECRET, Mode.LIVE)
    defaults = {"id": new_id("key"), "project_id": "proj_1", "mode": Mode.LIVE, "kind": KeyKind.SECRET, "scopes": SCOPES}
    hashed = {"secret_sha256": secret_sha256(secret), "hint": "", "created_at": now()}
    key = ApiKey(**(defaults | hashed | fields))
    await keys.add(key)
    return key, f"Bearer {secret}"


async def test_a_key_is_looked_up_once_and_a_revocation_elsewhere_is_felt_within_the_time():
    keys, clock = FakeKeys(), Clock()
    authenticate = Authenticate({"sk": keys}, 30, clock)
    key, header = await a_key(keys)
    for _ in range(5):
        assert (await authenticate(header)).credential_id == key.id
    assert keys.lookups == 1
    await keys.revoke("proj_1", key.id, now())
    clock.now += 29
    await authenticate(header)
    clock.now += 2
    with pytest.raises(Unauthorized):
        await authenticate(header)


def test_no_settings_let_a_revoked_key_or_its_streams_go_on_for_more_than_a_minute():
    given = {"public_url": "http://a", "admin_token": "x" * 16, "signing_secret": "x" * 16}
    longest = msgspec.convert(given | {"key_cache_s": 45, "live_heartbeat_s": 15}, ApiSettings)
    assert longest.key_cache_s + longest.live_heartbeat_s == 60
    for name in ("key_cache_s", "live_heartbeat_s"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(given | {name: getattr(longest, name) + 1}, ApiSettings)


async def test_an_unknown_key_is_not_looked_up_again_and_again():
    keys = FakeKeys()
    authenticate = Authenticate({"sk": keys}, 30, Clock())
    for _ in range(5):
        with pytest.raises(Unauthorized):
            await authenticate("Bearer sk_live_" + "y" * 40)
    assert keys.lookups == 1


async def test_requests_that_come_together_share_one_lookup():
    keys = FakeKeys()
    authenticate = Authenticate({"sk": keys}, 30, Clock())
    _, header = await a_key(keys)
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(authenticate(header))
    assert keys.lookups == 1


class Held(FakeKeys):
    """Answers the first lookups with what stood there when it was asked, once it is told to go on; others at once."""

    def __init__(self, lookups):
        super().__init__()
        self.held, self.asked, self.go_on = lookups, asyncio.Event(), asyncio.Event()

    async def by_secret(self, secret_sha256):
        found = await super().by_secret(secret_sha256)
        if self.lookups <= self.held:
            self.asked.set()
            await self.go_on.wait()
        return found


async def revoked_meanwhile(keys):
    """Who asked for a key before its revocation and has not been answered; its checker, its id and its header."""
    authenticate = Authenticate({"sk": keys}, 30, Clock())
    key, header = await a_key(keys)
    early = asyncio.create_task(authenticate(header))
    await keys.asked.wait()
    await keys.revoke(key.project_id, key.id, now())
    authenticate.forget(key.id)
    return early, authenticate, key.id, header


async def test_what_was_looked_up_before_a_revocation_is_not_believed_after_it():
    keys = Held(lookups=2)
    early, authenticate, key_id, header = await revoked_meanwhile(keys)
    late = asyncio.create_task(authenticate(header))
    keys.go_on.set()
    assert (await early).credential_id == key_id, "it came before the revocation"
    with pytest.raises(Unauthorized):
        await late
    with pytest.raises(Unauthorized):
        await authenticate(header)


async def test_a_lookup_that_a_revocation_overtook_is_not_remembered_when_it_ends_last():
    keys = Held(lookups=1)
    early, authenticate, key_id, header = await revoked_meanwhile(keys)
    with pytest.raises(Unauthorized):
        await authenticate(header)
    keys.go_on.set()
    assert (await early).credential_id == key_id, "it came before the revocation"
    with pytest.raises(Unauthorized):
        await authenticate(header)


async def test_when_the_store_is_down_a_key_that_is_not_known_is_an_outage_not_a_refusal():
    class Down(FakeKeys):
        async def by_secret(self, secret_sha256):
            raise TransientFailure("down")

    with pytest.raises(TransientFailure):
        await Authenticate({"sk": Down()}, 30)("Bearer sk_live_" + "z" * 40)


@pytest.mark.parametrize("kind", list(KeyKind))
@pytest.mark.parametrize("mode", list(Mode))
def test_a_secret_says_its_kind_and_mode(kind, mode):
    secret = new_secret(kind, mode)
    assert secret.startswith(f"{'sk' if kind is KeyKind.SECRET else 'rk'}_{mode}_")
    assert len(secret.rpartition("_")[2]) == 40


async def test_an_expired_key_is_refused_also_where_it_is_remembered(api):
    soon = (now() + timedelta(milliseconds=1500)).isoformat()
    expiring = await api.new_key(api.project_id, expires_at=soon)

    async def refused():
        return (await api.call("GET", "/recordings", secret=expiring)).status_code == 401

    assert (await api.call("GET", "/recordings", secret=expiring)).status_code == 200
    async with asyncio.timeout(10):
        while not await refused():
            await asyncio.sleep(0.02)


async def test_a_key_that_would_never_work_is_not_made(api):
    body = {"expires_at": (now() - timedelta(seconds=1)).isoformat()}
    status, code, error = await api.refused("POST", f"/admin/projects/{api.project_id}/api-keys", body, secret=api.admin_token)
    assert (status, code, error["param"]) == (400, "invalid_request", "expires_at")
    assert error["message"].startswith("expires_at is over: it is 20")
