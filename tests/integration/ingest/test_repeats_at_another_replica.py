"""A replica dies between the effect of a request and the keeping of its answer; another one meets the repeat, on real servers."""

from datetime import timedelta

import pytest

from shared.domain.clock import now
from shared.storage.mongo import Mongo

KEY = {"Idempotency-Key": "once-only"}
ENDPOINT = {"url": "https://customer.example/hook", "events": ["*"]}


@pytest.fixture
async def two(deployment):
    async with deployment.replica(webhooks_test_wait_s=0) as one, deployment.replica(webhooks_test_wait_s=0) as other:
        await one.open()
        other.secret = one.secret
        yield one, other


@pytest.fixture
def database(deployment):
    mongo = Mongo(deployment.mongo)
    yield mongo.database
    mongo.close()


async def repeated(two, database, path, body=None):
    """Send a request to one replica, let its answer and its lease be gone, and send it to the other; return both answers."""
    one, other = two
    first = await one.call("POST", path, body, headers=KEY)
    died = {"answer": None, "leased_until": now() - timedelta(seconds=1)}
    assert (await database["idempotency_keys"].update_many({}, {"$set": died})).modified_count == 1
    second = await other.call("POST", path, body, headers=KEY)
    assert "idempotency-replayed" not in second.headers
    return first, second


async def test_a_secret_is_rotated_once_and_the_same_one_is_told_again(two, database):
    endpoint = await two[0].ok("POST", "/webhook-endpoints", ENDPOINT)
    first, second = await repeated(two, database, f"/webhook-endpoints/{endpoint['id']}/rotate-secret")
    assert (second.status_code, second.json()) == (200, first.json())
    (kept,) = await database["webhook_endpoints"].find({}).to_list(None)
    assert len(kept["secrets"]) == 2
    assert first.json()["secret"] not in str(kept)


async def test_a_delivery_is_replayed_once(two, database):
    endpoint = await two[0].ok("POST", "/webhook-endpoints", ENDPOINT)
    test = await two[0].ok("POST", f"/webhook-endpoints/{endpoint['id']}/test", {})
    await database["webhook_deliveries"].update_one({"_id": test["id"]}, {"$set": {"status": "failed"}})
    first, second = await repeated(two, database, f"/webhook-deliveries/{test['id']}/replay")
    assert (second.status_code, second.json()) == (202, first.json())
    assert (await database["webhook_deliveries"].find_one({"_id": test["id"]}))["replays"] == 1


async def test_an_upload_is_completed_once_and_the_repeat_hears_that_it_is(two, database):
    recording = await two[0].recording()
    offer = await two[0].ok("POST", f"/recordings/{recording['id']}/upload-url", {"content_type": "audio/wav"})
    await two[0].store(offer["upload_url"], b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(28))
    first, second = await repeated(two, database, f"/recordings/{recording['id']}/upload-complete")
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json()["status"] == first.json()["status"] == "uploaded"
    kept = await database["recordings"].find_one({"_id": recording["id"]})
    assert kept["job"]["kind"] == "stitch"
    assert kept["version"] == 3  # created, announced, completed
