"""Every operation by every kind of credential: exactly the expected status, and no sign of what is another's."""

import pytest

from tests.conformance import operations
from tests.fakes.ingest import Api, fake_stores
from tests.tenants import World, all_scopes_but, anonymous, ask

OPERATIONS = operations()
GUARDED = [operation for operation in OPERATIONS if "x-required-scope" in operation[2]]
KEYLESS = [operation for operation in OPERATIONS if operation[2]["x-credentials"] in (["device_token"], ["admin_token"])]
ADMIN = [operation for operation in KEYLESS if operation[1].startswith("/v1/admin/")]
NO_KEYS = [operation for operation in KEYLESS if operation not in ADMIN]
PUBLIC = [operation for operation in OPERATIONS if not operation[2]["x-credentials"]]
SIGNED = [operation for operation in OPERATIONS if operation[2]["x-credentials"] == ["signed_url"]]
UNKNOWN = ["", "nonsense", "sk_live_" + "x" * 40, "dtok_" + "x" * 40, "up_" + "x" * 40]
EVERYONE = ["own", "other project", "other mode", "another device's token", "another recording's upload token"]


def each(found):
    return pytest.mark.parametrize("operation", [pytest.param(item, id=item[2]["operationId"]) for item in found])


def names_something(operation):
    """Whether the path or the body names a thing of the world's own."""
    _, path, described = operation
    return "_id}" in path or described["operationId"].endswith("transcription_create")


@pytest.fixture(scope="module")
async def world():
    """Two projects over fakes, opened once."""
    api = Api(fake_stores())
    yield await (await World(api).open()).furnish()
    await api.client.aclose()


def test_no_operation_is_left_out():
    assert sorted(map(str, OPERATIONS)) == sorted(map(str, [*GUARDED, *KEYLESS, *PUBLIC, *SIGNED]))


@each([*GUARDED, *ADMIN])
async def test_who_is_not_known_is_401(world, operation):
    for credential in [*UNKNOWN, world.credentials["revoked"], world.credentials["expired"]]:
        assert (await ask(world, operation, credential, world.ids)).status_code == 401


@each(ADMIN)
async def test_what_the_operator_does_no_key_or_token_does(world, operation):
    for name in EVERYONE:
        assert (await ask(world, operation, world.credentials[name], world.ids)).status_code == 401, name


@each(GUARDED)
async def test_a_key_without_the_scope_is_403_and_told_which(world, operation):
    scope = operation[2]["x-required-scope"]
    credential = await world.api.new_key(world.project, scopes=all_scopes_but(scope))
    response = await ask(world, operation, credential, world.ids)
    assert (response.status_code, response.json()["error"]["details"]) == (403, {"required_scope": scope})


@each(GUARDED)
@pytest.mark.parametrize("name", ["other project", "other mode"])
async def test_what_is_anothers_looks_as_if_it_did_not_exist(world, operation, name):
    shared = name == "other mode" and (operation[1].startswith(("/v1/projects/", "/v1/organizations/")))
    if not names_something(operation) or shared:
        pytest.skip("names nothing of the other's")
    foreign = await ask(world, operation, world.credentials[name], world.ids)
    missing = await ask(world, operation, world.credentials[name], world.missing())
    assert foreign.status_code == 404
    assert anonymous(foreign) == anonymous(missing)


@each(NO_KEYS)
@pytest.mark.parametrize("name", ["own", "other project", "other mode", "another recording's upload token"])
async def test_what_no_key_may_do_is_403_to_every_key(world, operation, name):
    assert (await ask(world, operation, world.credentials[name], world.ids)).status_code == 403


@each([operation for operation in GUARDED if not names_something(operation) and operation[0] == "GET"])
@pytest.mark.parametrize("name", ["other project", "other mode"])
async def test_lists_hold_nothing_of_anothers(world, operation, name):
    response = await ask(world, operation, world.credentials[name], world.ids)
    assert response.status_code == 200
    theirs = {value for key, value in world.ids.items() if key not in {"project_id", "organization_id"}}
    assert not [value for value in theirs if value in response.text]


@each([operation for operation in GUARDED if operation[0] in {"GET", "PUT", "PATCH"}])
async def test_its_own_key_finds_each_thing(world, operation):
    """Else the refusals above would be of things that nobody finds."""
    if "text/event-stream" in operation[2]["responses"]["200"].get("content", {}):
        pytest.skip("a stream has no end")
    response = await ask(world, operation, world.credentials["own"], world.ids)
    assert response.is_success or response.status_code in {400, 403, 409}, response.text


@each(GUARDED)
@pytest.mark.parametrize(
    ("name", "kind"), [("another device's token", "device_token"), ("another recording's upload token", "upload_token")]
)
async def test_a_token_does_its_own_operations_on_its_own_things_only(world, operation, name, kind):
    response = await ask(world, operation, world.credentials[name], world.ids)
    if kind not in operation[2]["x-credentials"]:
        assert response.status_code == 403
    elif names_something(operation):
        missing = await ask(world, operation, world.credentials[name], world.missing())
        assert (response.status_code, anonymous(response)) == (404, anonymous(missing))


@each(SIGNED)
async def test_a_signed_url_opens_one_recording(world, operation):
    query = world.other_template.partition("?")[2]
    path = world.path(operation[1], world.ids)
    for url in (path, f"{path}?{query}", f"{path}?{query[:-1]}x"):
        assert (await world.api.call("PUT", world.api.url + url, b"x", secret="")).status_code == 403


@each(PUBLIC)
async def test_what_is_public_asks_for_nothing(world, operation):
    assert (await ask(world, operation, "", world.ids)).status_code == 200
