"""The whole description of the API, tried out by an independent program against real servers: every check, no failure, no 5xx."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import parse_qsl

from tests.conformance import operations
from tests.integration.ingest.described_things import Things, bindings

EXAMPLES = int(os.environ.get("EARWITNESS_TESTS_EXAMPLES", "2"))
"""How many examples are tried of each operation; the more, the longer and the deeper."""
WALKS = 10  # for each example: chains of requests, in which what one makes is given to the next

CONFIG = """\
seed = 20250115
workers = 1
continue-on-failure = true
max-failures = 25
request-timeout = 10
max-stream-events = 3

[generation]
max-examples = {examples}
deterministic = true
allow-x00 = false
database = "none"

[phases.stateful]
max-steps = 8

[phases.stateful.generation]
max-examples = {walks}

[checks]
positive_data_acceptance.expected-statuses = {usual}

[parameters]
"query.cursor" = ""
{bindings}

{dictionaries}
[dictionaries.streaming]
values = ["{streaming}"]

[[operations]]
include-operation-id = {particular}
checks.positive_data_acceptance.expected-statuses = {more}

[[operations]]
include-operation-id = "key_revoke"  # not the key that is used
parameters = {{ "path.project_id" = "{project}", "path.key_id" = "{spare}" }}

[[operations]]
include-operation-id = "chunk_store"  # by a URL that is of one recording
parameters = {{ {signed}, "path.recording_id" = {{ dictionary = "streaming", probability = 1 }} }}

[auth.openapi]
api_key = {{ bearer = "{key}" }}
admin_token = {{ bearer = "{admin}" }}
device_token = {{ bearer = "{device}" }}
upload_token = {{ bearer = "{upload}" }}
signed_url = {{ api_key = "{signature}" }}
"""

USUAL = ["2xx", "401", "403", "404", "409"]
PARTICULAR = [
    "key_create",  # its end has to lie ahead
    "recording_create",  # a key has to name an end user, a token may not
    "endpoint_create",  # a URL has to be reachable from everywhere
    "endpoint_change",
    "upload_request_url",  # the recording has to await an upload
    "config_change",  # the section says what the body may be
]
"""What answers `invalid_request` for more than a schema can say, by the end of the operation's id."""


def refusing_operations():
    """Those whose 400 may mean the moment, not the request: it has another code than `invalid_request`; and `PARTICULAR`."""
    for _, _, operation in operations():
        codes = re.findall("`([a-z_]+)`: ", operation["responses"].get("400", {}).get("description", ""))
        named = operation["operationId"].removesuffix("_alias")
        if {*codes} - {"invalid_request"} or any(named.endswith(ending) for ending in PARTICULAR):
            yield operation["operationId"]


async def configuration(api):
    """The program's configuration: how deep it looks, and a credential of each kind, all of the test's own project."""
    things = await Things(api).make()
    recording = await api.recording(streaming=True)
    user = await api.ok("POST", "/end-users", {"external_id": "who"})
    device = await api.ok("POST", "/devices", {"serial_number": "S-1", "model": "bota_pin"})
    bound = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": user["id"]})
    whole = await api.recording()
    offer = await api.ok("POST", f"/recordings/{whole['id']}/upload-url", {})
    spare = await api.admin("POST", f"/projects/{api.project_id}/api-keys", {})
    signed = dict(parse_qsl(recording["chunk_upload_url_template"].partition("?")[2]))
    signature = signed.pop("signature")
    return CONFIG.format_map(
        {
            "usual": json.dumps(USUAL),
            "particular": json.dumps(list(refusing_operations())),
            "more": json.dumps([*USUAL, "400", "425"]),
            "examples": EXAMPLES,
            "walks": EXAMPLES * WALKS,
            "bindings": bindings(),
            "dictionaries": things.dictionaries(),
            "streaming": recording["id"],
            "signed": ", ".join(f'"query.{name}" = "{value}"' for name, value in signed.items()),
            "project": api.project_id,
            "spare": spare["id"],
            "key": api.secret,
            "admin": api.admin_token,
            "device": bound["device_token"],
            "upload": offer["upload_token"],
            "signature": signature,
        }
    )


async def test_schemathesis_finds_nothing(deployment, tmp_path):
    plenty = {"requests_per_second": 100_000, "requests_per_minute": 1_000_000, "failures_per_minute": 1_000_000}
    plenty |= {"upload_urls_per_minute": 1_000_000, "transcriptions_per_minute": 1_000_000}
    async with deployment.replica(**plenty, webhooks_test_wait_s=0.1) as api:
        await api.open()
        config = tmp_path / "schemathesis.toml"
        config.write_text(await configuration(api), encoding="utf-8")
        program = Path(sys.executable).with_name("schemathesis")
        command = [program, "--config-file", config, "run", f"{api.url}/openapi.json", "--checks", "all", "--no-color"]
        running = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        told, _ = await running.communicate()
        assert running.returncode == 0, told.decode()[-20_000:]
