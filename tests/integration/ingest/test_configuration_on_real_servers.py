"""Configuration over MongoDB and two replicas: changes at once never mix, and each is on record, whatever breaks off."""

import asyncio
from itertools import pairwise

import pytest

from shared.domain.config.levels import ConfigLevel, ConfigSubject
from shared.domain.tenant import Tenant
from shared.storage.config_overrides import ConfigOverrides
from shared.storage.mongo import Mongo

SECTIONS = {
    "processing": {"auto_transcription": {"enabled": True, "language": "de"}},
    "upload": {"daily_data_limit_mb": 250, "off_peak_hours": {"enabled": True, "timezone": "Europe/Zurich"}},
    "connection": {"upload_network_preference": ["ble", "wifi", "cellular"]},
    "upload_security": {"encrypted_upload_policy": "v2_preferred"},
}


@pytest.fixture
async def two(deployment):
    """Two replicas, the second with the key of the first."""
    async with deployment.replica() as one, deployment.replica() as other:
        await one.open()
        other.project_id, other.secret = one.project_id, one.secret
        yield one, other


async def subjects_of(api):
    """The path of one subject per level, the device bound to the end user, and the credential that changes it."""
    project = await api.admin("GET", f"/projects/{api.project_id}")
    user = await api.ok("POST", "/end-users", {})
    device = await api.ok("POST", "/devices", {"serial_number": "SN-1", "model": "bota_pin"})
    await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": user["id"]})
    return {
        "organization": (f"/organizations/{project['organization_id']}/config", api.admin_token),
        "project": (f"/projects/{api.project_id}/config", api.secret),
        "end_user": (f"/end-users/{user['id']}/config", api.secret),
        "device": (f"/devices/{device['id']}/config", api.secret),
    }


async def test_every_section_at_every_level_is_said_by_one_replica_and_read_by_the_other(two):
    one, other = two
    for level, (path, secret) in (await subjects_of(one)).items():
        for section, body in SECTIONS.items():
            if (level, section) == ("end_user", "upload_security"):
                continue
            said = await one.ok("PUT", f"{path}/{section}", body, secret=secret)
            assert said["source"] == level
            assert await other.ok("GET", f"{path}/{section}") == said
            (change,) = (await other.ok("GET", f"{path}/{section}/history"))["data"]
            assert (change["before"], change["after"]) == (None, body)
            assert (await other.call("DELETE", f"{path}/{section}", secret=secret)).status_code == 204
            assert (await one.ok("GET", f"{path}/{section}"))["source"] == "default"


async def test_changes_at_once_on_two_replicas_all_count_and_follow_each_other_on_record(two):
    path = f"/projects/{two[0].project_id}/config/upload"
    bodies = [
        {"streaming_chunk_kb": 300},
        {"allow_roaming": True},
        {"daily_data_limit_mb": 7},
        {"pause_on_low_battery": False},
        {"streaming_enabled": True},
        {"off_peak_hours": {"enabled": True}},
    ]
    answers = await asyncio.gather(*(two[number % 2].call("PUT", path, body) for number, body in enumerate(bodies)))
    assert {answer.status_code for answer in answers} == {200}
    value = (await two[1].ok("GET", path))["value"]
    assert all(value[key] == item for body in bodies[:-1] for key, item in body.items())
    assert value["off_peak_hours"]["enabled"] is True
    changes = (await two[0].ok("GET", f"{path}/history"))["data"]
    assert [change["version"] for change in changes] == [6, 5, 4, 3, 2, 1]
    for later, earlier in pairwise(changes):
        assert later["before"] == earlier["after"]
        assert later["changed_at"] > earlier["changed_at"]
    assert {change["request_id"] for change in changes} == {answer.headers["X-Request-Id"] for answer in answers}


async def test_a_crowd_of_changes_on_two_replicas_is_served(two):
    path = f"/projects/{two[0].project_id}/config/upload"
    bodies = [{"streaming_chunk_kb": 64 + number} for number in range(32)]
    answers = await asyncio.gather(*(two[number % 2].call("PUT", path, body) for number, body in enumerate(bodies)))
    assert {answer.status_code for answer in answers} == {200}
    changes = (await two[0].ok("GET", f"{path}/history?limit=100"))["data"]
    assert sorted(change["after"]["streaming_chunk_kb"] for change in changes) == list(range(64, 96))
    assert (await two[1].ok("GET", path))["value"]["streaming_chunk_kb"] == changes[0]["after"]["streaming_chunk_kb"]


async def test_a_replica_that_dies_before_it_files_a_change_leaves_it_on_record(two, deployment, monkeypatch):
    one, other = two
    path = f"/projects/{one.project_id}/config/upload"

    async def die(*_):
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(ConfigOverrides, "file", die)
        with pytest.raises(Exception):  # noqa: B017 - however a connection ends
            (await one.call("PUT", path, {"allow_roaming": True})).raise_for_status()
    mongo = Mongo(deployment.mongo)
    tenant = Tenant(one.project_id)
    subject = ConfigSubject(ConfigLevel.PROJECT, one.project_id, tenant)
    assert await mongo.database["config_audit"].count_documents({}) == 0
    assert (await ConfigOverrides(mongo).of((subject,), ("upload",)))[0].version == 1
    mongo.close()
    assert (await other.ok("GET", path))["value"]["allow_roaming"] is True
    (change,) = (await other.ok("GET", f"{path}/history"))["data"]
    assert (change["after"], change["changed_by"]["kind"]) == ({"allow_roaming": True}, "secret_key")


async def test_a_demand_for_encryption_is_felt_by_every_replica(two):
    one, other = two
    user = await one.ok("POST", "/end-users", {})
    path = f"/projects/{one.project_id}/config/upload_security"
    await one.ok("PUT", path, {"encrypted_upload_policy": "v2_required"})
    for api in two:
        answer = await api.refused("POST", "/recordings", {"end_user_id": user["id"]})
        assert answer[:2] == (403, "encrypted_upload_required")
    assert (await other.ok("GET", "/recordings"))["data"] == []
