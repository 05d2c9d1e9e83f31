"""Two replicas of the API over one MongoDB: keys, limits, tokens and uuids hold across both."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

PAIR = {"recording_uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "recording_generation": 1}


@asynccontextmanager
async def two_replicas(deployment, **api):
    async with deployment.replica(**api) as one, deployment.replica(**api) as two:
        await one.open()
        two.project_id, two.secret, two._someone = one.project_id, one.secret, await one.someone()
        yield one, two


@pytest.fixture
async def replicas(deployment):
    async with two_replicas(deployment) as both:
        yield both


async def create(api, key=None, **body):
    headers = {} if key is None else {"Idempotency-Key": key}
    return await api.call("POST", "/recordings", {"end_user_id": await api.someone(), **body}, headers=headers)


async def test_a_repeat_at_another_replica_gets_the_first_answer(replicas):
    one, two = replicas
    first, second = await create(one, "k-1"), await create(two, "k-1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["idempotency-replayed"] == "true"
    assert (await create(two, "k-1", name="Another")).json()["error"]["code"] == "idempotency_key_reuse"


async def test_many_repeats_at_both_have_one_effect(replicas):
    answers = await asyncio.gather(*(create(replicas[number % 2], "k-2") for number in range(40)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert len((await replicas[0].ok("GET", "/recordings"))["data"]) == 1


async def test_a_secret_that_is_shown_once_is_shown_again_to_a_repeat_and_kept_nowhere(replicas):
    one, two = replicas
    body, headers = {"name": "Phone"}, {"Idempotency-Key": "k-3"}
    path = f"/admin/projects/{one.project_id}/api-keys"
    first = await one.call("POST", path, body, headers=headers, secret=one.admin_token)
    second = await two.call("POST", path, body, headers=headers, secret=two.admin_token)
    assert second.content == first.content
    database = one.service._platform.mongo.database
    for collection in await database.list_collection_names():
        async for document in database[collection].find():
            assert first.json()["secret"] not in repr(document), collection


async def test_one_uuid_is_one_recording_however_many_create_it_where(replicas):
    answers = await asyncio.gather(*(create(replicas[number % 2], **PAIR) for number in range(40)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_an_upload_token_of_one_replica_is_good_at_the_other(replicas):
    one, two = replicas
    recording = (await create(one)).json()
    offer = await one.ok("POST", f"/recordings/{recording['id']}/upload-url", {})
    content = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(200)
    assert (await one.client.put(offer["upload_url"], content=content, headers=offer["headers"])).is_success
    path, token = f"/uploads/{offer['media_id']}/complete", offer["upload_token"]
    completed = await two.ok("POST", path, {"recording_id": recording["id"]}, secret=token)
    assert (completed["id"], completed["status"]) == (recording["id"], "uploaded")
    assert (await one.ok("POST", path, {}, secret=token))["status"] == "uploaded"


async def test_both_replicas_together_let_in_no_more_than_the_limit(deployment):
    async with two_replicas(deployment, requests_per_minute=60) as both:
        spoilt = None
        while True:  # all of it has to happen within one window
            while (window := time.time() // 60) == spoilt or time.time() % 60 > 50:
                await asyncio.sleep(0.2)
            await asyncio.gather(*(api.call("GET", "/recordings") for api in both))
            answers = await asyncio.gather(*(both[number % 2].call("GET", "/recordings") for number in range(150)))
            if (spoilt := time.time() // 60) == window:
                break
        let_in = sum(answer.status_code == 200 for answer in answers)
        assert {answer.status_code for answer in answers} == {200, 429}
        assert 40 <= let_in <= 60
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)


async def test_head_and_refused_heads_over_a_real_connection(replicas):
    one, _ = replicas
    get, head = await one.call("GET", "/recordings"), await one.call("HEAD", "/recordings")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (await one.call("GET", "/recordings")).status_code == 200  # the connection is still in step
    assert (await one.call("OPTIONS", "/recordings")).status_code == 405
