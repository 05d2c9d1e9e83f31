"""What each operation of the description answers to each kind of credential; over fakes and on real servers alike."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.tenants import BODIES, FOREIGN, SILENCE, UNKNOWN, World, missing

Operation = tuple[str, str, dict[str, Any]]  # method, path template, description

FIXED = {"section": "upload", "chunk_number": "1", "seq": "0", "asset_name": "start.js", "token": "x" * 43}
"""What stands in a path beside ids; no URL with this token was ever given to a provider."""

SUCCESSES = {"device_register": 201, "endpoint_delivery_test": 202, "endpoint_delivery_test_alias": 202}
"""Where several statuses are a success: a new serial number, and a test of an endpoint that nobody works on here."""

OWN = {"delivery_replay": 409, "transcript_export": 409}
"""What its owner is answered of a thing as it stands in this world: a test is still under way, nothing is transcribed here.
Neither is what a stranger is told."""

BY_URL = {"signed_url": 403, "callback_token": 404}
"""What is answered where the URL is the credential, and is none here: it has no signature, or was never made."""

OF_THEIRS = {"provider_key_remove": 404}
"""What strangers are answered of things of their own, which they do not have."""

TAKERS = {"secret_key": "own key", "admin_token": "admin token", "device_token": "own device token"}
TAKERS |= {"upload_token": "own upload token"}
"""Which of our credentials is of each kind."""

_KINDS = {
    "a key of all other scopes": "restricted_key",
    "another device's token": "device_token",
    "own device token": "device_token",
    "another recording's upload token": "upload_token",
    "own upload token": "upload_token",
    "admin token": "admin_token",
}
_SHARED_BY_MODES = {"project_id", "organization_id"}
_OF_EACH_REQUEST = {"x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset", "content-length", "date"}
_FILTERS = ("device_id", "end_user_id", "recording_id", "external_id")


def success_of(operation: Operation) -> int:
    """Return the status with which the operation succeeds."""
    described = operation[2]
    return SUCCESSES.get(described["operationId"]) or min(int(status) for status in described["responses"] if status < "3")


def expected(operation: Operation, name: str) -> int:
    """Return what the operation, asked of our things, answers to the credential of that name; derived from the description."""
    kinds, operation_id = set(operation[2]["x-credentials"]), operation[2]["operationId"]
    if not kinds:
        return success_of(operation)
    if kinds <= set(BY_URL):  # whatever the header says
        return min(BY_URL[kind] for kind in kinds)
    may = _KINDS.get(name, "secret_key") in kinds and name != "a key of all other scopes"
    if name in UNKNOWN or (not may and "403" not in operation[2]["responses"]):
        return 401
    if not may:
        return 403
    return 404 if _names(operation, name) else OF_THEIRS.get(operation_id, success_of(operation))


def _names(operation: Operation, name: str) -> set[str]:
    """Return which ids of things that are none of the bearer's a request holds; a token's own ids go before those of a body."""
    named = {word for word in _words(operation[1]) if word.endswith("_id")}
    if name in {"another project's key", "the other mode's key"}:
        named |= {word for value in body_of(operation).values() for word in _words(str(value)) if word.endswith("_id")}
    return named - _SHARED_BY_MODES if name == "the other mode's key" else named


def _words(template: str) -> list[str]:
    return [part.partition("}")[0] for part in template.split("{")[1:]]


def body_of(operation: Operation) -> Mapping[str, Any]:
    """Return the body that the operation takes, by the longest ending of its id that has one."""
    operation_id = operation[2]["operationId"].removesuffix("_alias")
    found = max((name for name in BODIES if operation_id.endswith(name)), key=len, default=None)
    return {} if found is None else BODIES[found]


async def ask(world: World, operation: Operation, credential: str, ids: Mapping[str, str], **query: str) -> Any:
    """Call the operation on the things of `ids` with the credential, or none."""
    method, template, described = operation
    content = described.get("requestBody", {}).get("content", {})
    body: Any = SILENCE if content else None
    if "application/json" in content:
        body = {key: value.format_map(ids) if isinstance(value, str) else value for key, value in body_of(operation).items()}
    if template.endswith("/export"):
        query["format"] = "txt"
    provider = "assemblyai" if described["operationId"] == "provider_key_remove" else "deepgram"
    url = world.api.url + template.format_map(FIXED | {"provider": provider} | dict(ids))
    headers = {"Authorization": "Basic eHg6eHg="} if credential == "Basic" else {}
    if "*/*" in content:
        headers["Content-Type"] = "audio/wav"
    secret = "" if credential == "Basic" else credential
    return await world.api.call(method, url, body, secret=secret, headers=headers, params=query or None)


def seen(response: Any) -> tuple[int, bytes, dict[str, str]]:
    """All that an answer tells, but for what each request has of its own."""
    own = response.headers["x-request-id"].encode()
    headers = {name: value for name, value in response.headers.items() if name not in _OF_EACH_REQUEST}
    return response.status_code, response.content.replace(own, b""), headers


async def check_strangers(world: World, operation: Operation) -> None:
    """Ask as everybody who is not ours: exactly the expected status, and what is ours looks as what is not there."""
    scope = operation[2].get("x-required-scope")
    secrets = {name: world.credentials[name] for name in (*UNKNOWN, *FOREIGN)}
    if scope is not None:
        secrets["a key of all other scopes"] = await world.all_scopes_but(scope)
    for ids in _variants(world, operation):
        answers = {name: await ask(world, operation, secret, ids) for name, secret in secrets.items()}
        wanted = {name: expected(operation, name) for name in secrets}
        given = {name: answer.status_code for name, answer in answers.items()}
        assert given == wanted, {name: (given[name], wanted[name]) for name in wanted if given[name] != wanted[name]}
        for name in FOREIGN:
            assert seen(answers[name]) == seen(await ask(world, operation, secrets[name], missing(ids))) or wanted[name] < 300
            assert wanted[name] >= 300 or operation[0] != "GET" or not _ours(world, operation, answers[name].text, name)


def _variants(world: World, operation: Operation) -> list[dict[str, str]]:
    """An upload may be named by its recording and by its file."""
    by_file = [world.ids | {"upload_id": world.ids["media_id"]}] if "{upload_id}" in operation[1] else []
    return [world.ids, *by_file]


def _ours(world: World, operation: Operation, text: str, name: str) -> list[str]:
    """Return what of ours an answer to others shows."""
    shared = _SHARED_BY_MODES if name == "the other mode's key" else set()
    return [value for key, value in world.ids.items() if key not in shared and value in text]


async def check_filters(world: World, operation: Operation) -> None:
    """A list filtered by what is another's is as empty as one filtered by what is not there."""
    taken = {parameter["name"] for parameter in operation[2].get("parameters", ()) if parameter["in"] == "query"}
    for name in taken.intersection(_FILTERS):
        for stranger in ("another project's key", "the other mode's key"):
            if expected(operation, stranger) != 200:
                continue
            foreign, nothing = [
                await ask(world, operation, world.credentials[stranger], world.ids, **{name: ids[name]})
                for ids in (world.ids, missing(world.ids))
            ]
            assert (foreign.status_code, foreign.json()["data"]) == (200, [])
            assert seen(foreign) == seen(nothing)


async def check_crossed(world: World, operation: Operation) -> None:
    """One's own thing does not open what hangs on another one: the path is right in its first id only."""
    crossed = {name: value for name, value in world.crossed.items() if f"{{{name}}}" in operation[1]}
    admin = operation[2]["x-credentials"] == ["admin_token"]
    secret = world.credentials["admin token" if admin else "own key"]
    for name, value in crossed.items():
        foreign = await ask(world, operation, secret, world.ids | {name: value})
        nothing = await ask(world, operation, secret, world.ids | {name: missing(world.ids)[name]})
        assert foreign.status_code == 404
        assert seen(foreign) == seen(nothing)


async def check_owner(world: World, operation: Operation) -> None:
    """Each credential that the operation takes succeeds with it on things of its own: else the refusals would prove nothing."""
    kinds = operation[2]["x-credentials"]
    for kind, name in TAKERS.items():
        if kind in kinds:
            changes = operation[0] != "GET"
            if changes or world.used:
                await world.furnish()
            world.used = changes  # what is changed or gone would not be there for the next
            ids = world.ids | await prepared(world, operation)
            answer = await ask(world, operation, world.credentials[name], ids)
            wanted = OWN.get(operation[2]["operationId"], success_of(operation))
            assert (name, answer.status_code) == (name, wanted), answer.text


async def check_stream(world: World, operation: Operation) -> None:
    """The owner of what is followed without an end is let in; a stream cannot be read to its end."""
    await world.furnish()
    url = world.api.url + operation[1].format_map(world.ids)
    headers = {"Authorization": f"Bearer {world.credentials['own key']}"}
    async with world.api.client.stream("GET", url, headers=headers) as response:
        assert response.status_code == success_of(operation)


async def prepared(world: World, operation: Operation) -> dict[str, str]:
    """Make what the operation needs beside one of everything, and return whose ids to name."""
    prepare = PREPARE.get(operation[2]["operationId"].removesuffix("_alias"))
    return {} if prepare is None else await prepare(world)


async def _chunk_stored(world: World) -> dict[str, str]:
    answer = await world.api.client.put(world.template.replace("{chunk_number}", "1"), content=b"x")
    assert answer.status_code == 200
    return {}


async def _whole(world: World) -> dict[str, str]:
    return {"recording_id": (await world.recording())["id"]}


async def _announced(world: World) -> dict[str, str]:
    return {"recording_id": world.ids["upload_id"]}


async def _uploaded(world: World) -> dict[str, str]:
    recording = await world.uploaded()
    return {"recording_id": recording["id"], "media_id": recording["media"][0]["id"]}


PREPARE: dict[str, Callable[[World], Awaitable[dict[str, str]]]] = {
    "download_of_audio": _uploaded,
    "download_of_media": _uploaded,
    "recording_finalize": _chunk_stored,
    "relay_file": _whole,
    "transcription_create": _uploaded,
    "transcription_transcribe": _uploaded,
    "upload_complete": _announced,
    "upload_request_url": _whole,
}
"""What has to be there for an operation to succeed, beside one of everything; returns whose ids to name."""
