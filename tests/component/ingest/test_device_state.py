"""How devices are: what they told last, whether they are online and recording, and how many fare badly (contract 13.2)."""

from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.device import ONLINE_FOR

TOLD = {
    "battery_percent": 80,
    "storage_used_mb": 512,
    "storage_total_mb": 1024.5,
    "signal_strength_dbm": -61,
    "firmware_version": "2.0.1",
    "name": "Pin of Ada",
}
STATE = {"device_state": "charging", "pending_recordings": 2, "flags": 5, "connection_type": ["wifi", "ble"]}


@pytest.fixture
async def device(api):
    """A bound device, with its token."""
    return await api.bound_device()


async def beat(api, device, **body):
    return await api.ok("POST", "/devices/me/heartbeat", body, secret=device["device_token"])


async def state(api, device):
    return await api.ok("GET", f"/devices/{device['id']}/state")


def heard_ago(api, device, ago):
    """Let the last heartbeat be so long ago."""
    rows = api.stores.devices.rows
    key = next(key for key, row in rows.items() if row.id == device["id"])
    rows[key] = msgspec.structs.replace(rows[key], last_heartbeat_at=now() - ago)


async def test_what_a_heartbeat_tells_stands_in_the_device_and_what_it_does_not_tell_stays(api, device):
    assert await beat(api, device, **TOLD, **STATE) == {"status": "ok", "commands": [], "rejected_results": []}
    await beat(api, device, battery_percent=79, device_state="idle")
    shown = await api.ok("GET", f"/devices/{device['id']}")
    assert {name: shown[name] for name in TOLD} == TOLD | {"battery_percent": 79}
    assert shown["recording_state"] == STATE | {"device_state": "idle"}
    assert shown["updated_at"] == device["updated_at"]
    assert shown["last_heartbeat_at"] is not None


async def test_nothing_need_be_told(api, device):
    assert (await api.call("POST", "/devices/me/heartbeat", secret=device["device_token"])).status_code == 200
    shown = await api.ok("GET", f"/devices/{device['id']}")
    assert (shown["recording_state"], shown["battery_percent"]) == (None, None)


async def test_a_device_is_online_until_a_quarter_of_an_hour_after_its_heartbeat(api, device):
    assert await state(api, device) == {
        "device_id": device["id"],
        "online": False,
        "recording": {"active": False, "recording_id": None, "started_at": None, "initiated_by": None},
        **dict.fromkeys(("battery_percent", "storage_used_mb", "storage_total_mb", "signal_strength_dbm", "last_heartbeat_at")),
    }
    await beat(api, device, **TOLD)
    shown = await state(api, device)
    assert (shown["online"], shown["battery_percent"], shown["storage_total_mb"]) == (True, 80, 1024.5)
    heard_ago(api, device, ONLINE_FOR - timedelta(seconds=5))
    assert (await state(api, device))["online"] is True
    heard_ago(api, device, ONLINE_FOR)
    assert (await state(api, device))["online"] is False


async def test_a_device_records_while_it_says_so_and_is_heard_of(api, device):
    await beat(api, device, device_state="recording")
    assert (await state(api, device))["recording"] == {
        "active": True,
        "recording_id": None,
        "started_at": None,
        "initiated_by": "device",
    }
    stream = await api.ok("POST", "/recordings", {"streaming": True}, secret=device["device_token"])
    shown = (await state(api, device))["recording"]
    assert (shown["active"], shown["recording_id"], shown["started_at"]) == (True, stream["id"], stream["created_at"])
    heard_ago(api, device, ONLINE_FOR)
    assert (await state(api, device))["recording"]["active"] is False
    await beat(api, device, device_state="idle")
    assert (await state(api, device))["recording"]["active"] is False


async def test_a_stream_begun_since_the_last_heartbeat_counts(api, device):
    await beat(api, device, device_state="idle")
    heard_ago(api, device, timedelta(minutes=5))
    stream = await api.ok("POST", "/recordings", {"streaming": True}, secret=device["device_token"])
    assert (await state(api, device))["recording"]["recording_id"] == stream["id"]
    await api.put_chunk(stream, 1)
    await api.ok("POST", f"/recordings/{stream['id']}/finalize", {"total_chunks": 1, "final_duration_ms": 5})
    assert (await state(api, device))["recording"]["active"] is False


async def test_a_recording_after_a_command_to_start_was_initiated_by_it(api, device):
    commands = f"/devices/{device['id']}/commands"
    await api.ok("POST", commands, {"type": "start_recording"})
    (given,) = (await beat(api, device))["commands"]
    assert (await state(api, device))["recording"]["active"] is False
    await beat(api, device, device_state="recording")
    shown = (await state(api, device))["recording"]
    assert (shown["active"], shown["initiated_by"], shown["started_at"]) == (True, "command", given["delivered_at"])
    await api.ok("POST", commands, {"type": "stop_recording"})
    await beat(api, device, device_state="recording")
    assert (await state(api, device))["recording"]["initiated_by"] == "device"


async def test_who_initiated_a_recording_does_not_depend_on_who_has_looked_at_the_command(api, device):
    commands = f"/devices/{device['id']}/commands"
    await api.ok("POST", commands, {"type": "start_recording"})
    (given,) = (await beat(api, device))["commands"]
    await beat(api, device, device_state="recording")
    rows = api.stores.commands.rows
    key = next(key for key, row in rows.items() if row.id == given["id"])
    rows[key] = msgspec.structs.replace(rows[key], expires_at=now() - timedelta(milliseconds=1))
    before = (await state(api, device))["recording"]
    assert (await api.ok("GET", f"{commands}/{given['id']}"))["status"] == "expired"
    assert (await state(api, device))["recording"] == before
    assert before["initiated_by"] == "command"


async def test_what_a_device_did_for_one_end_user_is_not_told_of_it_when_it_belongs_to_the_next(api, device):
    commands = f"/devices/{device['id']}/commands"
    await api.ok("POST", commands, {"type": "start_recording"})
    await beat(api, device, device_state="recording")
    abandoned = await api.ok("POST", "/recordings", {"streaming": True}, secret=device["device_token"])
    shown = (await state(api, device))["recording"]
    assert (shown["recording_id"], shown["initiated_by"]) == (abandoned["id"], "command")
    await api.ok("POST", f"/devices/{device['id']}/unbind")
    again = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": await api.new_end_user()})
    await beat(api, again, device_state="recording")
    shown = (await state(api, again))["recording"]
    assert shown == {"active": True, "recording_id": None, "started_at": None, "initiated_by": "device"}
    stream = await api.ok("POST", "/recordings", {"streaming": True}, secret=again["device_token"])
    assert (await state(api, again))["recording"]["recording_id"] == stream["id"]


async def test_stats_count_what_the_contract_says_at_its_borders(api):
    assert await api.ok("GET", "/devices/stats") == {"online_count": 0, "low_battery_count": 0, "storage_full_count": 0}
    told = [
        {"battery_percent": 14, "storage_used_mb": 90, "storage_total_mb": 100},
        {"battery_percent": 15, "storage_used_mb": 91, "storage_total_mb": 100},
        {"storage_used_mb": 5, "storage_total_mb": 0},
        {"battery_percent": 0},
    ]
    devices = [await api.bound_device() for _ in told]
    for device, body in zip(devices, told, strict=True):
        await beat(api, device, **body)
    heard_ago(api, devices[0], ONLINE_FOR)
    await api.new_device()
    assert await api.ok("GET", "/devices/stats") == {"online_count": 3, "low_battery_count": 2, "storage_full_count": 1}
    test = await api.new_key(api.project_id, mode="test")
    assert (await api.ok("GET", "/devices/stats", secret=test))["online_count"] == 0


async def test_a_device_that_tells_of_no_storage_any_more_is_not_short_of_it(api, device):
    await beat(api, device, storage_used_mb=95, storage_total_mb=100)
    assert (await api.ok("GET", "/devices/stats"))["storage_full_count"] == 1
    await beat(api, device, storage_used_mb=0, storage_total_mb=0)
    assert (await api.ok("GET", "/devices/stats"))["storage_full_count"] == 0
