"""The API as a process, and its command line."""

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest

from deploy.local.servers.ports import free_port
from tests.fakes.sealing import SEALING_KEY

ROOT = Path(__file__).parents[3]
DEADLINE_S = 90  # a start imports much; on a busy machine that takes a while
ADMIN_TOKEN = "admin-token-for-tests"


async def ended(process):
    out, err = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    return process.returncode, out.decode(), err.decode()


async def start(module, *arguments, **environment):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EARWITNESS_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=ROOT,
        env=inherited | {f"EARWITNESS_{name.upper()}": value for name, value in environment.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
def environment(mongo_settings, bucket_settings, kafka_settings):
    """What the API needs to run on the shared servers."""
    port = free_port()
    return {
        "mongo_url": mongo_settings.mongo_url,
        "mongo_database": mongo_settings.mongo_database,
        "kafka_servers": ",".join(kafka_settings.kafka_servers),
        "s3_endpoint": bucket_settings.s3_endpoint,
        "s3_access_key": bucket_settings.s3_access_key,
        "s3_secret_key": bucket_settings.s3_secret_key,
        "s3_bucket": bucket_settings.s3_bucket,
        "sealing_keys": SEALING_KEY,
        "http_host": "127.0.0.1",
        "http_port": str(port),
        "public_url": f"http://127.0.0.1:{port}",
        "admin_token": ADMIN_TOKEN,
        "signing_secret": "signs chunk urls and cursors",
    }


async def until_it_answers(process, url, client):
    async with asyncio.timeout(DEADLINE_S):
        while process.returncode is None:
            try:
                return await client.get(f"{url}/health/ready")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    raise AssertionError(await ended(process))


async def told_by_admin(database, *arguments):
    status, out, err = await ended(await start("services.ingest.admin", *arguments, **database))
    assert status == 0, err
    return json.loads(out)


async def test_missing_settings_are_named_and_the_process_ends_with_78():
    status, _, err = await ended(await start("services.ingest", http_host="127.0.0.1", admin_token="short"))
    assert status == 78
    for name in ("MONGO_URL", "S3_ENDPOINT", "HTTP_PORT", "PUBLIC_URL", "SIGNING_SECRET", "ADMIN_TOKEN is malformed"):
        assert f"EARWITNESS_{name}" in err
    assert "short" not in err


@pytest.mark.parametrize("module", ["services.ingest", "services.ingest.admin", "services.ingest.reseal"])
async def test_an_address_that_the_driver_of_mongodb_does_not_take_is_named_like_any_other_wrong_setting(environment, module):
    wrong = {**environment, "mongo_url": "mongodb://user:hunter%zz2@127.0.0.1"}
    status, out, err = await ended(await start(module, *(["list-organizations"] if "admin" in module else []), **wrong))
    assert (status, out) == (78, "")
    assert err.startswith("the settings are not complete:\n  EARWITNESS_MONGO_URL is not taken by the driver (InvalidURI)")
    assert (err.count("\n"), "hunter" in err) == (2, False)


async def test_the_command_line_makes_a_key_that_the_api_knows_and_sigterm_drains(environment):
    database = {name: environment[name] for name in ("mongo_url", "mongo_database")}

    admin = partial(told_by_admin, database)
    organization = await admin("create-organization", "--name", "Acme")
    project = await admin("create-project", "--organization", organization["id"], "--name", "Field")
    scopes = ("--scope", "recordings:write", "--scope", "end_users:write")
    key = await admin("create-key", "--project", project["id"], "--mode", "test", *scopes)
    assert key["secret"].startswith("rk_test_")
    url = environment["public_url"]
    process = await start("services.ingest", **environment)
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key['secret']}"}) as client:
        assert (await until_it_answers(process, url, client)).status_code == 200
        someone = (await client.post(f"{url}/v1/end-users", json={})).json()["id"]
        made = await client.post(f"{url}/v1/recordings", json={"end_user_id": someone, "streaming": True})
        assert made.status_code == 201
        assert (await client.get(f"{url}/v1/recordings")).status_code == 403

        async def slow():
            yield b"first"
            process.terminate()
            await asyncio.sleep(0.3)
            yield b"last"

        target = made.json()["chunk_upload_url_template"].format(chunk_number=1)
        answer = await client.put(target, content=slow(), headers={"Content-Length": "9"})
        assert answer.status_code == 200
    status, out, _ = await ended(process)
    assert status == 0
    lines = [json.loads(line) for line in out.splitlines()]
    stored = next(line for line in lines if line.get("route", "").endswith("/chunks/{chunk_number}"))
    assert (stored["status"], stored["bytes"], stored["project_id"]) == (200, 9, project["id"])
    assert key["secret"] not in out
    assert "signature=" not in out
    assert lines[-1]["event"] == "service.stopped"


async def test_a_request_that_outlasts_the_grace_time_is_told_to_come_again(environment):
    admin = partial(told_by_admin, {name: environment[name] for name in ("mongo_url", "mongo_database")})
    organization = await admin("create-organization", "--name", "Acme")
    project = await admin("create-project", "--organization", organization["id"], "--name", "Field")
    key = await admin("create-key", "--project", project["id"])
    endpoints = f"{environment['public_url']}/v1/webhook-endpoints"
    settings = {"shutdown_grace_s": "1", "webhooks_allow_private": "true", "webhooks_test_wait_s": "60"}
    process = await start("services.ingest", **environment, **settings)
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key['secret']}"}, timeout=DEADLINE_S) as client:
        assert (await until_it_answers(process, environment["public_url"], client)).status_code == 200
        made = (await client.post(endpoints, json={"url": "http://127.0.0.1:9/hook", "events": ["*"]})).json()
        testing = asyncio.create_task(client.post(f"{endpoints}/{made['id']}/test"))  # nobody is there who would send it
        while not (await client.get(f"{endpoints}/{made['id']}/deliveries")).json()["data"]:
            await asyncio.sleep(0.02)
        process.terminate()
        cut = await testing
    status, out, _ = await ended(process)
    assert (cut.status_code, cut.json()["error"]["code"]) == (503, "service_unavailable")
    assert cut.json()["error"]["request_id"] == cut.headers["x-request-id"]
    assert int(cut.headers["retry-after"]) > 0
    lines = [json.loads(line) for line in out.splitlines()]
    (told,) = [line for line in lines if line.get("path", "").endswith("/test")]
    assert (told["status"], told["error_code"]) == (503, "service_unavailable")
    assert "service.requests_cut" in [line["event"] for line in lines]
    assert status == 1


async def test_the_command_line_says_in_one_line_what_is_wrong(mongo_settings):
    database = {"mongo_url": mongo_settings.mongo_url, "mongo_database": mongo_settings.mongo_database}
    process = await start("services.ingest.admin", "create-key", "--project", "proj_none", **database)
    assert await ended(process) == (2, "", "there is no such project\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create-organization", "--name", ""], "name: Expected `str` of length >= 1"),
        (["create-organization", "--name", "x" * 256], "name: Expected `str` of length <= 255"),
        (["create-project", "--organization", "org_none", "--name", ""], "name: Expected `str` of length >= 1"),
        (["create-key", "--project", "proj_none", "--name", "x" * 256], "name: Expected `str` of length <= 255"),
        (["create-key", "--project", "proj_none", "--expires-at", "tomorrow"], "expires_at: Invalid RFC3339 encoded datetime"),
        (["create-organization", "--name", b"\xff"], "argument --name: it is not UTF-8"),
        (["list-keys", "--project", b"\xff"], "argument --project: it is not UTF-8"),
    ],
)
async def test_the_command_line_takes_no_more_than_the_api(mongo_settings, arguments, said):
    database = {"mongo_url": mongo_settings.mongo_url, "mongo_database": mongo_settings.mongo_database}
    status, out, err = await ended(await start("services.ingest.admin", *arguments, **database))
    assert (status, out) == (2, "")
    assert said in err.splitlines()[-1]


async def test_the_command_line_makes_a_key_that_ends(mongo_settings):
    database = {"mongo_url": mongo_settings.mongo_url, "mongo_database": mongo_settings.mongo_database}

    admin = partial(told_by_admin, database)
    organization = await admin("create-organization", "--name", "Acme")
    project = await admin("create-project", "--organization", organization["id"], "--name", "Field")
    key = await admin("create-key", "--project", project["id"], "--expires-at", "2040-01-01T01:00:00+01:00")
    assert key["expires_at"] == "2040-01-01T00:00:00.000Z"
