"""Commands to devices: given once, with a heartbeat, and followed to their end (contract section 13)."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.device_command import MAX_PENDING
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id
from shared.domain.tenant import Tenant


@pytest.fixture
async def device(api):
    """A bound device, with its token."""
    return await api.bound_device()


async def command(api, device, kind="stop_recording", **fields):
    return await api.ok("POST", f"/devices/{device['id']}/commands", {"type": kind, **fields})


async def heartbeat(api, device, **body):
    return await api.ok("POST", "/devices/me/heartbeat", body, secret=device["device_token"])


async def shown(api, given):
    return await api.ok("GET", f"/devices/{given['device_id']}/commands/{given['id']}")


def expire(api, given):
    """Let the command's time pass."""
    rows = api.stores.commands.rows
    key, row = next((key, row) for key, row in rows.items() if row.id == given["id"])
    rows[key] = msgspec.structs.replace(row, expires_at=now() - timedelta(milliseconds=1))


async def test_a_command_is_answered_with_201_its_defaults_and_its_expiry(api, device):
    answer = await api.call("POST", f"/devices/{device['id']}/commands", {"type": "start_recording"})
    made = answer.json()
    assert answer.status_code == 201
    assert made["id"].startswith("cmd_")
    assert (made["status"], made["device_id"], made["type"]) == ("pending", device["id"], "start_recording")
    assert made["params"] == {"max_duration_sec": 3600, "upload_immediately": True, "metadata": {}}
    life = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert life == timedelta(seconds=300)
    assert [made[name] for name in ("result", "error", "delivered_at", "executed_at")] == [None] * 4
    assert await shown(api, made) == made


@pytest.mark.parametrize("kind", ["stop_recording", "trigger_upload", "factory_reset"])
async def test_other_commands_take_no_params(api, device, kind):
    assert (await command(api, device, kind, params={"max_duration_sec": 5}, ttl=60))["params"] == {}


async def test_the_grant_names_device_command_and_end_and_the_device_can_check_it(api, device):
    made = await command(api, device, "start_recording", ttl=60)
    header, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in made["grant_token"].split("."))
    assert json.loads(header) == {"alg": "HS256", "typ": "JWT"}
    told = json.loads(claims)
    assert (told["sub"], told["jti"], told["cmd"], told["exp"] - told["iat"]) == (device["id"], made["id"], "start_recording", 60)
    signed = made["grant_token"].rpartition(".")[0].encode()
    assert signature == hmac.new(bytes.fromhex(device["grant_key"]), signed, hashlib.sha256).digest()


async def test_a_heartbeat_hands_out_what_waits_oldest_first_and_only_once(api, device):
    made = [await command(api, device), await command(api, device, "trigger_upload")]
    answer = await heartbeat(api, device)
    assert (answer["status"], [one["id"] for one in answer["commands"]]) == ("ok", [one["id"] for one in made])
    assert {one["status"] for one in answer["commands"]} == {"delivered"}
    assert (await heartbeat(api, device))["commands"] == []
    assert (await shown(api, made[0]))["delivered_at"] is not None


@pytest.mark.parametrize("before_outage", [0, 2])
async def test_what_was_delivered_before_the_database_failed_comes_with_that_heartbeat(api, device, monkeypatch, before_outage):
    made = [(await command(api, device))["id"] for _ in range(3)]
    commands = api.stores.commands
    deliver, delivered = commands.deliver_next, []

    async def failing(*asked):
        if len(delivered) == before_outage:
            raise TransientFailure("the primary stepped down")
        delivered.append(await deliver(*asked))
        return delivered[-1]

    monkeypatch.setattr(commands, "deliver_next", failing)
    answer = await api.call("POST", "/devices/me/heartbeat", {}, secret=device["device_token"])
    monkeypatch.undo()
    got = [one["id"] for one in answer.json().get("commands", [])]
    assert (answer.status_code, got) == ((200, made[:2]) if before_outage else (503, []))
    assert got + [one["id"] for one in (await heartbeat(api, device))["commands"]] == made


async def test_of_heartbeats_at_the_same_moment_one_gets_the_command(api, device):
    await command(api, device)
    answers = await asyncio.gather(*(heartbeat(api, device) for _ in range(6)))
    assert sorted(len(answer["commands"]) for answer in answers) == [0] * 5 + [1]


@pytest.mark.parametrize(
    ("told", "field", "value"),
    [
        ({"status": "executed", "result": {"recording_id": "rec_1"}}, "result", {"recording_id": "rec_1"}),
        ({"status": "failed", "error": "no microphone"}, "error", "no microphone"),
    ],
)
async def test_a_device_tells_what_became_of_a_command_as_often_as_it_likes(api, device, told, field, value):
    made = await command(api, device)
    await heartbeat(api, device)
    for _ in range(2):
        answer = await heartbeat(api, device, command_results=[{"command_id": made["id"], **told}])
        assert answer["rejected_results"] == []
    ended = await shown(api, made)
    assert (ended["status"], ended[field], ended["executed_at"] is not None) == (
        told["status"],
        value,
        told["status"] == "executed",
    )


async def test_a_result_that_cannot_be_is_answered_and_the_heartbeat_counts_all_the_same(api, device):
    done, cancelled = await command(api, device), await command(api, device)
    await api.call("DELETE", f"/devices/{device['id']}/commands/{cancelled['id']}")
    await heartbeat(api, device, command_results=[{"command_id": done["id"], "status": "executed"}])
    other = await command(api, await api.bound_device())
    wrong = [(done, "failed"), (cancelled, "executed"), (other, "executed"), ({"id": new_id("cmd")}, "executed")]
    wrong.append(({"id": "the first one"}, "executed"))
    results = [{"command_id": one["id"], "status": status} for one, status in wrong]
    answer = await heartbeat(api, device, battery_percent=50, command_results=results)
    assert [one["reason"] for one in answer["rejected_results"]] == [
        "the command is executed",
        "the command is cancelled",
        "the device has no such command",
        "the device has no such command",
        "the device has no such command",
    ]
    assert (await api.ok("GET", f"/devices/{device['id']}"))["battery_percent"] == 50
    assert [(await shown(api, one))["status"] for one in (done, cancelled, other)] == ["executed", "cancelled", "pending"]


@pytest.mark.parametrize("wrong", [{"$set": 1}, {"log": "x" * 17_000}])
async def test_a_heartbeat_that_is_refused_for_one_result_counts_for_none(api, device, wrong):
    made = [await command(api, device) for _ in range(2)]
    results = [
        {"command_id": one["id"], "status": "executed", "result": result} for one, result in zip(made, ({}, wrong), strict=True)
    ]
    body = {"battery_percent": 5, "command_results": results}
    status, code, error = await api.refused("POST", "/devices/me/heartbeat", body, secret=device["device_token"])
    assert (status, code, error["param"]) == (400, "invalid_request", "command_results[1].result")
    assert [(await shown(api, one))["status"] for one in made] == ["pending", "pending"]
    assert (await api.ok("GET", f"/devices/{device['id']}"))["battery_percent"] is None


async def test_a_command_whose_time_has_passed_is_shown_as_expired_and_given_to_nobody(api, device):
    made, delivered = await command(api, device), await command(api, device)
    base = f"/devices/{device['id']}/commands"
    expire(api, made)
    assert [one["id"] for one in (await api.ok("GET", f"{base}/pending"))["data"]] == [delivered["id"]]
    assert [one["id"] for one in (await heartbeat(api, device))["commands"]] == [delivered["id"]]
    expire(api, delivered)
    assert (await shown(api, made))["status"] == (await shown(api, delivered))["status"] == "expired"
    assert [one["status"] for one in (await api.ok("GET", base))["data"]] == ["expired", "expired"]
    assert len((await api.ok("GET", f"{base}?status=expired"))["data"]) == 2
    assert (await api.ok("GET", f"{base}?status=delivered"))["data"] == []


async def test_a_device_that_tells_late_did_it_all_the_same(api, device):
    made = await command(api, device)
    await heartbeat(api, device)
    expire(api, made)
    assert (await shown(api, made))["status"] == "expired"
    await heartbeat(api, device, command_results=[{"command_id": made["id"], "status": "executed"}])
    assert (await shown(api, made))["status"] == "executed"


async def test_only_a_command_that_waits_can_be_cancelled(api, device):
    waiting, given = await command(api, device), None
    own = f"/devices/{device['id']}/commands"
    assert (await api.call("DELETE", f"{own}/{waiting['id']}")).status_code == 204
    assert (await shown(api, waiting))["status"] == "cancelled"
    given = await command(api, device)
    await heartbeat(api, device)
    for one, status in ((waiting, "cancelled"), (given, "delivered")):
        refusal = await api.refused("DELETE", f"{own}/{one['id']}")
        assert (*refusal[:2], refusal[2]["details"]["current_status"]) == (409, "conflict", status)
    assert (await api.refused("DELETE", f"{own}/{new_id('cmd')}"))[:2] == (404, "not_found")


async def test_the_same_idempotency_key_is_the_same_command(api, device):
    first = await command(api, device, "start_recording", idempotency_key="k-1")
    assert await command(api, device, "start_recording", idempotency_key="k-1") == first
    refusal = await api.refused("POST", f"/devices/{device['id']}/commands", {"type": "stop_recording", "idempotency_key": "k-1"})
    assert (refusal[:2], refusal[2]["param"]) == ((409, "idempotency_key_reuse"), "idempotency_key")
    other = await command(api, await api.bound_device(), "start_recording", idempotency_key="k-1")
    assert other["id"] != first["id"]


async def test_commands_of_one_key_at_once_are_one(api, device):
    made = await asyncio.gather(*(command(api, device, idempotency_key="k-2") for _ in range(5)))
    assert len({one["id"] for one in made}) == 1


async def test_so_many_may_wait_and_no_more(api, device):
    for _ in range(MAX_PENDING):
        await command(api, device)
    assert (await api.refused("POST", f"/devices/{device['id']}/commands", {"type": "stop_recording"}))[:2] == (
        409,
        "limit_reached",
    )
    assert len((await api.ok("GET", f"/devices/{device['id']}/commands/pending"))["data"]) == MAX_PENDING


async def test_commands_are_listed_newest_first_by_twenty_and_by_status(api, device):
    made = sorted([(await command(api, device))["id"] for _ in range(23)], reverse=True)
    base = f"/devices/{device['id']}/commands"
    first = await api.ok("GET", base)
    rest = await api.ok("GET", f"{base}?cursor={first['next_cursor']}")
    assert ([len(first["data"]), len(rest["data"])], first["has_more"], rest["has_more"]) == ([20, 3], True, False)
    assert [one["id"] for one in first["data"] + rest["data"]] == made
    assert [one["id"] for one in (await api.ok("GET", f"{base}?status=pending&limit=100"))["data"]] == made
    assert (await api.refused("GET", f"{base}?status=done"))[2]["param"] == "status"
    assert (await api.refused("GET", f"{base}?limit=101"))[2]["param"] == "limit"
    assert (await api.refused("GET", f"/devices/{await api.new_device()}/commands?cursor={first['next_cursor']}"))[0] == 400


async def test_what_waited_for_one_binding_does_not_come_to_the_next(api, device):
    made = await command(api, device, "start_recording")
    await api.ok("POST", f"/devices/{device['id']}/unbind")
    assert (await shown(api, made))["status"] == "cancelled"
    late = await command(api, device)
    again = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": await api.new_end_user()})
    assert (await heartbeat(api, again))["commands"] == []
    assert (await shown(api, late))["status"] == "cancelled"


@pytest.mark.parametrize("slow", ["unbind", "bind"])
async def test_who_is_slow_to_cancel_leaves_what_waits_for_the_next_binding_alone(api, device, monkeypatch, slow):
    path, commands, made = f"/devices/{device['id']}", api.stores.commands, []
    cancel = commands.cancel_pending
    if slow == "bind":
        await api.ok("POST", f"{path}/unbind")

    async def late(ended):
        monkeypatch.setattr(commands, "cancel_pending", cancel)
        await api.ok("POST", f"{path}/unbind")
        await api.ok("POST", f"{path}/bind", {"end_user_id": await api.new_end_user()})
        made.append(await command(api, device))
        return await cancel(ended)

    monkeypatch.setattr(commands, "cancel_pending", late)
    await api.ok("POST", f"{path}/{slow}", {"end_user_id": await api.new_end_user()})
    assert (await shown(api, made[0]))["status"] == "pending"


async def test_a_command_that_is_stored_while_the_device_is_bound_anew_is_cancelled_too(api, device, monkeypatch):
    path, commands = f"/devices/{device['id']}", api.stores.commands
    add, bound = commands.add, []

    async def late(made):
        monkeypatch.setattr(commands, "add", add)
        await api.ok("POST", f"{path}/unbind")
        bound.append(await api.ok("POST", f"{path}/bind", {"end_user_id": await api.new_end_user()}))
        return await add(made)

    monkeypatch.setattr(commands, "add", late)
    made = await command(api, device)
    assert (await api.ok("GET", f"{path}/commands/pending"))["data"] == []
    assert (await shown(api, made))["status"] == "cancelled"
    following = await command(api, bound[0])
    assert [one["id"] for one in (await heartbeat(api, bound[0]))["commands"]] == [following["id"]]


async def test_a_key_may_beat_for_a_device(api, device):
    made = await command(api, device)
    answer = await api.ok("POST", f"/devices/{device['id']}/heartbeat", {"battery_percent": 9})
    assert [one["id"] for one in answer["commands"]] == [made["id"]]
    assert (await api.refused("POST", "/devices/me/heartbeat", {}))[:2] == (404, "not_found")


async def test_a_command_is_kept_with_the_end_user_by_whose_deletion_it_is_emptied(api, device):
    given = await command(api, device, "start_recording", params={"metadata": {"patient": "Ada"}})
    told = {"command_id": given["id"], "status": "executed", "result": {"said": "Ada"}}
    await heartbeat(api, device, command_results=[told])
    await api.stores.commands.erase_texts(Tenant(api.project_id), device["end_user_id"])
    emptied = await shown(api, given)
    assert (emptied["status"], emptied["params"]["metadata"], emptied["result"]) == ("executed", {}, None)


@pytest.mark.parametrize("told", [{"status": "executed", "result": {"said": "Ada"}}, {"status": "failed", "error": "Ada spoke"}])
async def test_of_a_command_to_a_deleted_end_users_device_only_its_outcome_is_kept_however_late_it_is_told(api, device, told):
    given = await command(api, device, "start_recording", ttl=86_400)
    await heartbeat(api, device)
    await api.call("DELETE", f"/end-users/{device['end_user_id']}")
    await api.stores.commands.erase_texts(Tenant(api.project_id), device["end_user_id"])
    again = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": await api.new_end_user()})
    results = [{"command_id": given["id"], **told}]
    assert (await heartbeat(api, again, command_results=results))["rejected_results"] == []
    ended = await shown(api, given)
    assert (ended["status"], ended["result"], ended["error"]) == (told["status"], None, None)
