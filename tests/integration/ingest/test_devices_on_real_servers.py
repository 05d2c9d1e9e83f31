"""End users and devices over real servers: what one replica revokes or deletes, the others feel, and nothing is left behind."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from services.ingest.end_users import erase
from shared.domain.clock import now
from shared.domain.device_command import MAX_PENDING
from shared.domain.errors import TransientFailure
from shared.domain.tenant import Tenant
from shared.storage.devices import Devices
from shared.storage.end_users import EndUsers
from tests.integration.ingest.conftest import until

CACHE_S = 1.0


@pytest.fixture
async def replicas(deployment):
    """Two replicas of one deployment, with one project between them."""
    async with deployment.replica(key_cache_s=CACHE_S) as one, deployment.replica(key_cache_s=CACHE_S) as other:
        await one.open()
        other.project_id, other.secret = one.project_id, one.secret
        yield one, other


async def beats(api, token):
    return (await api.call("POST", "/devices/me/heartbeat", {}, secret=token)).status_code


def end_users_of(api):
    return EndUsers(api.service._platform.mongo)._documents


async def sweep_now(api, end_user_id):
    """Let the pause before the next sweep end."""
    await end_users_of(api).update({"_id": end_user_id}, {"$set": {"erasure_due_at": now()}})


async def left(api, end_user_id):
    tenant = Tenant(api.project_id)
    return await api.service._platform.recordings.page(tenant, {"end_user_id": end_user_id}, 100)


@pytest.mark.parametrize("how", ["unbind", "token/refresh", "delete"])
async def test_a_revoked_token_dies_at_once_here_and_within_the_cache_time_elsewhere(replicas, how):
    one, other = replicas
    device = await one.bound_device(someone := await one.new_end_user())
    token = device["device_token"]
    assert [await beats(api, token) for api in replicas] == [200, 200]
    if how == "delete":
        await one.call("DELETE", f"/end-users/{someone}")
    else:
        await one.ok("POST", f"/devices/{device['id']}/{how}", secret=token if how == "token/refresh" else None)
    assert await beats(one, token) == 401

    async def felt():
        return await beats(other, token) == 401

    assert await until(felt, within_s=CACHE_S + 2)


async def test_nothing_is_left_of_what_was_configured_for_a_deleted_end_user(replicas):
    one, _ = replicas
    someone = await one.new_end_user()
    for value in (128, 256):
        await one.ok("PUT", f"/end-users/{someone}/config/upload", {"streaming_chunk_kb": value})
    await one.call("DELETE", f"/end-users/{someone}")
    database = one.service._platform.mongo.database

    async def gone():
        mine = {"subject_id": someone}
        return [await database[name].find_one(mine) for name in ("config_overrides", "config_audit")] == [None, None]

    assert await until(gone)


async def test_what_is_due_to_be_erased_is_a_queue_that_is_watched(replicas):
    one, _ = replicas
    scraped = (await one.call("GET", f"{one.url}/metrics", secret="")).text
    assert 'earwitness_queue_depth{queue="end_user_erasures"} ' in scraped
    assert 'earwitness_queue_oldest_age_seconds{queue="end_user_erasures"} ' in scraped


async def test_the_use_of_a_token_is_noted(replicas):
    one, _ = replicas
    device = await one.bound_device()
    assert await beats(one, device["device_token"]) == 200

    async def noted():
        return (await Devices(one.service._platform.mongo).get(Tenant(one.project_id), device["id"])).last_used_at is not None

    assert await until(noted)


async def test_a_command_goes_out_with_one_of_many_heartbeats_at_once(replicas):
    device = await replicas[0].bound_device()
    for _ in range(3):
        await replicas[0].ok("POST", f"/devices/{device['id']}/commands", {"type": "stop_recording"})
    calls = (api.ok("POST", "/devices/me/heartbeat", {}, secret=device["device_token"]) for api in replicas * 10)
    given = [command["id"] for answer in await asyncio.gather(*calls) for command in answer["commands"]]
    assert len(given) == len(set(given)) == 3


async def test_heartbeats_by_two_ways_at_once_both_count(replicas):
    ways = ({"device_state": "recording", "storage_used_mb": 95}, {"pending_recordings": 7, "storage_total_mb": 1000})
    for device in await asyncio.gather(*(replicas[0].bound_device() for _ in range(20))):
        path = f"/devices/{device['id']}"
        await replicas[0].ok("POST", f"{path}/heartbeat", {"device_state": "idle", "storage_used_mb": 1, "storage_total_mb": 100})
        await asyncio.gather(*(api.ok("POST", f"{path}/heartbeat", way) for api, way in zip(replicas, ways, strict=True)))
        state = (await replicas[0].ok("GET", path))["recording_state"]
        assert (state["device_state"], state["pending_recordings"]) == ("recording", 7)
    assert (await replicas[0].ok("GET", "/devices/stats"))["storage_full_count"] == 0


async def test_of_commands_at_once_no_more_wait_than_may(replicas):
    device = await replicas[0].bound_device()
    path = f"/devices/{device['id']}/commands"
    calls = [api.call("POST", path, {"type": "stop_recording"}) for api in replicas * MAX_PENDING]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [201] * MAX_PENDING + [409] * MAX_PENDING
    waiting = await replicas[1].ok("GET", f"{path}/pending")
    assert (len(waiting["data"]), waiting["has_more"]) == (MAX_PENDING, False)


async def test_of_the_same_external_id_at_once_one_is_made(replicas):
    body = {"external_id": "crm-1"}
    answers = await asyncio.gather(*(api.call("POST", "/end-users", body) for api in replicas * 5))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


async def test_a_deleted_end_users_recordings_go_and_those_made_at_the_same_moment_too(replicas):
    one, other = replicas
    someone, bystander = await one.new_end_user(), await one.new_end_user()
    streamed = await one.recording(end_user_id=someone, streaming=True)
    await one.put_chunk(streamed, 1)
    kept = await one.recording(end_user_id=bystander)
    await other.recording(end_user_id=someone)  # believes from now on that it exists
    racing = [other.call("POST", "/recordings", {"end_user_id": someone}) for _ in range(20)]
    answers = await asyncio.gather(*racing[:10], one.call("DELETE", f"/end-users/{someone}"), *racing[10:])
    assert {answer.status_code for answer in answers} <= {201, 204, 404}
    assert (await one.put_chunk(streamed, 2)).status_code in {200, 404}

    async def swept():
        await sweep_now(one, someone)
        return not await left(one, someone)

    assert await until(swept)
    assert (await one.refused("GET", f"/recordings/{streamed['id']}"))[:2] == (404, "not_found")
    assert (await one.ok("GET", f"/recordings/{kept['id']}"))["id"] == kept["id"]
    await end_users_of(one).update({"_id": someone}, {"$set": {"deleted_at": now() - erase.SETTLED_AFTER}})

    async def settled():
        await end_users_of(one).update({"_id": someone, "erasure_due_at": {"$ne": None}}, {"$set": {"erasure_due_at": now()}})
        return (await end_users_of(one).find_one({"_id": someone})).erasure_due_at is None

    assert await until(settled)


async def test_a_sweep_that_dies_half_way_is_finished_by_another_replica(deployment):
    async with deployment.replica(key_cache_s=CACHE_S) as dying:
        await dying.open()
        someone = await dying.new_end_user()
        await asyncio.gather(*(dying.recording(end_user_id=someone) for _ in range(12)))
        eraser, deletions = dying.service._erase_end_users, []
        delete = eraser._remains.delete_recording

        async def killed(tenant, recording_id):
            if len(deletions) >= 5:
                raise TransientFailure("killed")
            deletions.append(recording_id)
            await delete(tenant, recording_id)

        eraser._remains = msgspec.structs.replace(eraser._remains, delete_recording=killed)
        await dying.call("DELETE", f"/end-users/{someone}")

        async def half_way():
            return len(await left(dying, someone)) == 7

        assert await until(half_way)
        claim = (await end_users_of(dying).find_one({"_id": someone})).erasure_due_at
        assert claim > now() + erase.LEASE - timedelta(seconds=30), "nobody else works on it before the lease ends"
        secret, project_id = dying.secret, dying.project_id
    async with deployment.replica(key_cache_s=CACHE_S) as heir:
        heir.secret, heir.project_id = secret, project_id
        await sweep_now(heir, someone)

        async def finished():
            return not await left(heir, someone)

        assert await until(finished)
