"""End users, devices and commands: one suite over the fakes and over MongoDB."""

import asyncio
import secrets
from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.device import MOST_UNBINDINGS, Connection, Device, DeviceCounts, DeviceState, RecordingState
from shared.domain.device_command import MAX_PENDING, CommandStatus, CommandType, DeviceCommand
from shared.domain.end_user import EndUser
from shared.domain.errors import AlreadyExists
from shared.domain.ids import new_id
from shared.domain.tenant import Mode, Tenant
from shared.settings import MongoSettings
from shared.storage.device_commands import DeviceCommands
from shared.storage.devices import Devices
from shared.storage.end_users import EndUsers
from shared.storage.mongo import Mongo
from tests.fakes.devices import FakeCommands, FakeDevices, FakeEndUsers

TENANT, TEST = Tenant("proj_1", Mode.LIVE), Tenant("proj_1", Mode.TEST)
STRANGER = Tenant("proj_2", Mode.LIVE)


class Collections:
    def __init__(self, end_users, devices, commands):
        self.end_users, self.devices, self.commands = end_users, devices, commands


@pytest.fixture(params=["fake", "mongo"])
async def stores(request):
    """Empty stores."""
    if request.param == "fake":
        yield Collections(FakeEndUsers(), FakeDevices(), FakeCommands())
        return
    url = request.getfixturevalue("mongo_url")
    mongo = Mongo(MongoSettings(mongo_url=url, mongo_database=f"test_{secrets.token_hex(6)}"))
    stores = Collections(EndUsers(mongo), Devices(mongo), DeviceCommands(mongo))
    indexed = (stores.end_users, stores.devices, stores.commands)
    await asyncio.gather(*(store.ensure_indexes() for store in indexed * 3))  # as replicas that start together
    yield stores
    mongo.close()


def owned(prefix, tenant):
    at = now()
    return {"id": new_id(prefix), "project_id": tenant.project_id, "mode": tenant.mode, "created_at": at}


def an_end_user(tenant=TENANT, **fields):
    return EndUser(**owned("eu", tenant), updated_at=now(), **fields)


def a_device(tenant=TENANT, **fields):
    serial = {"serial_number": secrets.token_hex(6), "model": "bota_pin"}
    return Device(**owned("dev", tenant), updated_at=now(), **(serial | fields))


def a_command(device, **fields):
    rest = {"type": CommandType.STOP_RECORDING, "ttl_s": 300, "expires_at": now() + timedelta(seconds=300)}
    command = {"device_id": device.id, "binding_generation": device.binding_generation}
    return DeviceCommand(**owned("cmd", device.tenant), **(command | rest | fields))


async def added(store, *rows):
    for row in rows:
        await store.add(row)
    return rows[0] if len(rows) == 1 else rows


async def test_rows_are_read_back_as_they_were_by_their_own_tenant_only(stores):
    end_user = await added(stores.end_users, an_end_user(external_id="a", metadata={"b": [1]}))
    state = RecordingState(device_state=DeviceState.CHARGING, flags=3, connection_type=(Connection.WIFI, Connection.CELLULAR))
    device = await added(stores.devices, a_device(recording_state=state, storage_used_mb=1.5, storage_total_mb=3))
    for store, row in ((stores.end_users, end_user), (stores.devices, device)):
        assert await store.get(TENANT, row.id) == row
        for other in (TEST, STRANGER):
            assert await store.get(other, row.id) is None
        assert await store.get(TENANT, new_id("x")) is None
    command = await added(stores.commands, a_command(device))
    assert await stores.commands.get(TENANT, device.id, command.id) == command
    assert await stores.commands.get(TENANT, new_id("dev"), command.id) is None
    assert await stores.commands.get(TEST, device.id, command.id) is None


async def test_an_external_id_is_taken_until_its_end_user_is_removed(stores):
    first = await added(stores.end_users, an_end_user(external_id="a", email="a@b", name="A", metadata={}))
    with pytest.raises(AlreadyExists):
        await stores.end_users.add(an_end_user(external_id="a"))
    for free in (an_end_user(TEST, external_id="a"), an_end_user(STRANGER, external_id="a"), an_end_user(), an_end_user()):
        await stores.end_users.add(free)
    at = now()
    assert await stores.end_users.remove(STRANGER, first.id, at) is False
    assert await stores.end_users.remove(TENANT, first.id, at) is True
    assert await stores.end_users.remove(TENANT, first.id, at) is False
    second = await added(stores.end_users, an_end_user(external_id="a"))
    assert await stores.end_users.by_external_id(TENANT, "a") == second
    assert await stores.end_users.get(TENANT, first.id) is None
    assert first.id not in [one.id for one in await stores.end_users.page(TENANT, 10)]


async def test_an_erasure_is_given_to_one_and_again_when_its_claim_ends(stores):
    end_user = await added(stores.end_users, an_end_user(external_id="a", name="A"))
    at = now()
    assert await stores.end_users.claim_erasure(at, at + timedelta(hours=1)) is None
    await stores.end_users.remove(TENANT, end_user.id, at)
    until = at + timedelta(minutes=1)
    claims = await asyncio.gather(*(stores.end_users.claim_erasure(at, until) for _ in range(5)))
    (claimed,) = [claim for claim in claims if claim is not None]
    assert (claimed.id, claimed.external_id, claimed.name, claimed.erasure_due_at) == (end_user.id, None, None, until)
    again = await stores.end_users.claim_erasure(until, until + timedelta(minutes=1))
    assert again is not None
    assert await stores.end_users.extend_erasure(claimed, None) is None, "the claim is another's by now"
    assert (await stores.end_users.extend_erasure(again, None)).erasure_due_at is None
    assert await stores.end_users.claim_erasure(at + timedelta(days=1), at) is None


async def test_pages_are_newest_first_below_an_id_or_after_an_offset(stores):
    users = await added(stores.end_users, *(an_end_user() for _ in range(4)), an_end_user(TEST))
    devices = await added(stores.devices, *(a_device(end_user_id=f"eu_{number % 2}") for number in range(4)), a_device(STRANGER))
    commands = await added(stores.commands, *(a_command(devices[0]) for _ in range(4)), a_command(devices[1]))
    for store, rows in ((stores.end_users, users), (stores.devices, devices)):
        newest = sorted(rows[:4], key=lambda row: row.id, reverse=True)
        assert await store.page(TENANT, 10) == newest
        assert await store.page(TENANT, 2, before=newest[0].id) == newest[1:3]
        assert await store.page(TENANT, 2, offset=3) == newest[3:]
    assert [one.end_user_id for one in await stores.devices.page(TENANT, 10, end_user_id="eu_1")] == ["eu_1"] * 2
    newest = sorted(commands[:4], key=lambda row: row.id, reverse=True)
    of_one = {"device_id": devices[0].id}
    assert await stores.commands.page(TENANT, of_one, 10) == newest
    assert await stores.commands.page(TENANT, of_one | {"status": "pending"}, 2, before=newest[0].id) == newest[1:3]
    assert await stores.commands.page(TENANT, of_one | {"status": "executed"}, 10) == []


async def test_a_serial_number_is_one_devices_within_its_tenant(stores):
    device = await added(stores.devices, a_device(serial_number="SN"))
    with pytest.raises(AlreadyExists):
        await stores.devices.add(a_device(serial_number="SN"))
    await stores.devices.add(a_device(TEST, serial_number="SN"))
    assert await stores.devices.by_serial_number(TENANT, "SN") == device
    assert await stores.devices.by_serial_number(STRANGER, "SN") is None


async def test_binding_happens_only_to_a_device_that_stands_as_it_was_read(stores):
    device = await added(stores.devices, a_device())
    at = now()
    outcomes = await asyncio.gather(*(stores.devices.bind(device, f"eu_{number}", f"hash_{number}", at) for number in range(4)))
    (bound,) = [outcome for outcome in outcomes if outcome is not None]
    assert (bound.binding_generation, bound.bound_at) == (1, at)
    assert await stores.devices.by_secret(bound.token_sha256) == bound
    assert await stores.devices.unbind(device, at) is None
    again = await stores.devices.bind(bound, bound.end_user_id, "hash_new", now())
    assert (again.binding_generation, again.bound_at, again.token_sha256) == (1, at, "hash_new")
    assert await stores.devices.by_secret(bound.token_sha256) is None
    free = await stores.devices.unbind(again, now())
    assert (free.end_user_id, free.bound_at, free.token_sha256, free.binding_generation) == (None, None, None, 1)
    assert await stores.devices.by_secret("hash_new") is None


async def test_a_device_remembers_the_latest_requests_that_freed_it(stores):
    device = await added(stores.devices, a_device())
    freed = [f"unbind_{number}" for number in range(MOST_UNBINDINGS + 2)]
    for by in ("", *freed, ""):
        bound = await stores.devices.bind(device, "eu_1", "hash", now())
        device = await stores.devices.unbind(bound, now(), by)
    assert device.unbound_by == tuple(freed[2:])
    assert await stores.devices.unbind(bound, now(), "late") is None
    assert (await stores.devices.get(TENANT, device.id)).unbound_by == device.unbound_by


async def test_a_free_device_remembers_who_found_it_free_and_is_otherwise_as_it_was(stores):
    device = await added(stores.devices, a_device())
    free = await stores.devices.unbind(device, now() + timedelta(seconds=1), "unbind_1")
    assert free == msgspec.structs.replace(device, unbound_by=("unbind_1",))
    await stores.devices.bind(free, "eu_1", "hash", now())
    assert await stores.devices.unbind(free, now(), "unbind_2") is None


async def test_what_commands_for_an_end_user_say_is_emptied_and_no_other(stores):
    fields = {"type": CommandType.START_RECORDING, "params": {"max_duration_sec": 5, "metadata": {"patient": "Ada"}}}
    fields |= {"result": {"said": "Ada"}, "error": "Ada", "status": CommandStatus.FAILED}
    device = a_device()
    own = a_command(device, end_user_id="eu_1", **fields)
    others = [a_command(device, end_user_id=other, **fields) for other in ("eu_2", None)]
    others.append(a_command(a_device(TEST), end_user_id="eu_1", **fields))
    plain = a_command(device, end_user_id="eu_1")
    await added(stores.commands, own, plain, *others)
    for _ in range(2):
        await stores.commands.erase_texts(TENANT, "eu_1")
    emptied = msgspec.structs.replace(own, params={"max_duration_sec": 5, "metadata": {}}, result=None, error=None)
    for command in (emptied, plain, *others):
        assert await stores.commands.get(command.tenant, command.device_id, command.id) == command


async def test_a_token_is_replaced_by_whoever_holds_it_and_its_use_noted_forwards_only(stores):
    device = await added(stores.devices, a_device(end_user_id="eu_1", token_sha256="old"))
    earlier = now()
    later = earlier + timedelta(seconds=1)
    for at in (later, earlier):
        await stores.devices.touch(device.id, at)
    assert (await stores.devices.by_secret("old")).last_used_at == later
    replaced = [await stores.devices.replace_token(TENANT, device.id, "old", new) for new in ("first", "second")]
    assert replaced == [True, False]
    assert await stores.devices.replace_token(STRANGER, device.id, "first", "x") is False
    assert (await stores.devices.by_secret("first")).last_used_at is None


async def test_what_is_heard_of_a_device_by_several_ways_at_once_all_counts(stores):
    device = await added(stores.devices, a_device(name="Pin"))
    ways = [
        ({"storage_used_mb": 95, "name": "$name"}, {"device_state": DeviceState.RECORDING}),
        ({"storage_total_mb": 1000}, {"pending_recordings": 7}),
        ({"battery_percent": 9}, {"connection_type": [Connection.WIFI]}),
    ]
    await asyncio.gather(*(stores.devices.heard(TENANT, device.id, told, state) for told, state in ways))
    heard = await stores.devices.heard(TENANT, device.id, {"battery_percent": 8}, {})
    state = heard.recording_state
    assert (state.device_state, state.pending_recordings, list(state.connection_type)) == ("recording", 7, ["wifi"])
    assert (heard.name, heard.battery_percent, heard.storage_used_ratio) == ("$name", 8, 0.095)
    for total, ratio in ((100, 0.95), (0, None)):
        assert (await stores.devices.heard(TENANT, device.id, {"storage_total_mb": total}, {})).storage_used_ratio == ratio
    assert await stores.devices.heard(STRANGER, device.id, {"battery_percent": 1}, {}) is None


async def test_counts_are_of_the_tenants_own_devices(stores):
    at = now()
    rows = [
        {"last_heartbeat_at": at - timedelta(minutes=14), "battery_percent": 14, "storage_used_ratio": 0.9},
        {"last_heartbeat_at": at - timedelta(minutes=15), "battery_percent": 15, "storage_used_ratio": 0.91},
        {"last_heartbeat_at": at},
    ]
    await added(stores.devices, *(a_device(**row) for row in rows), a_device(TEST, **rows[0]))
    assert await stores.devices.counts(TENANT, at) == DeviceCounts(online=2, low_battery=1, storage_full=1)
    assert await stores.devices.counts(STRANGER, at) == DeviceCounts(online=0, low_battery=0, storage_full=0)


async def test_a_command_is_delivered_once_oldest_first_to_the_binding_it_was_made_for(stores):
    device = await added(stores.devices, a_device(binding_generation=2))
    old = a_command(device, binding_generation=1)
    late = a_command(device, expires_at=now() - timedelta(seconds=1))
    waiting = [a_command(device) for _ in range(3)]
    await added(stores.commands, old, late, *waiting, a_command(a_device()))
    at = now()
    delivered = [await stores.commands.deliver_next(device, at) for _ in range(4)]
    assert [one and one.id for one in delivered] == [*(one.id for one in waiting), None]
    assert {(one.status, one.delivered_at) for one in delivered[:3]} == {(CommandStatus.DELIVERED, at)}


async def test_a_command_moves_only_as_its_table_says(stores):
    device = await added(stores.devices, a_device())
    command = await added(stores.commands, a_command(device))
    moved = await stores.commands.move(TENANT, device.id, command.id, CommandStatus.EXECUTED, {"result": {"a": 1}})
    assert moved == msgspec.structs.replace(command, status=CommandStatus.EXECUTED, result={"a": 1})
    for status in CommandStatus:
        assert await stores.commands.move(TENANT, device.id, command.id, status, {}) is None
    assert await stores.commands.get(TENANT, device.id, command.id) == moved


async def test_what_waits_can_expire_or_be_cancelled_and_what_has_ended_stays(stores):
    device = await added(stores.devices, a_device())
    past = now() - timedelta(seconds=1)
    rows = {status: a_command(device, status=status, expires_at=past) for status in CommandStatus}
    fresh = a_command(device)
    await added(stores.commands, *rows.values(), fresh)
    await stores.commands.expire(TENANT, device.id, now())
    after = {one.id: one.status for one in await stores.commands.page(TENANT, {"device_id": device.id}, 10)}
    gone = {CommandStatus.PENDING, CommandStatus.DELIVERED}
    assert {status: after[row.id] for status, row in rows.items()} == {
        status: CommandStatus.EXPIRED if status in gone else status for status in CommandStatus
    }
    assert await stores.commands.cancel_pending(device) == 1
    assert (await stores.commands.get(TENANT, device.id, fresh.id)).status is CommandStatus.CANCELLED


async def test_what_waits_for_the_next_binding_is_not_cancelled_with_the_one_before(stores):
    device = await added(stores.devices, a_device(binding_generation=2))
    earlier, ended, following = (a_command(device, binding_generation=generation) for generation in (1, 2, 3))
    await added(stores.commands, earlier, ended, following)
    assert await stores.commands.cancel_pending(device) == 2
    assert await stores.commands.page(TENANT, {"device_id": device.id, "status": "pending"}, 10) == [following]


async def test_an_idempotency_key_is_one_commands_of_its_device(stores):
    first, second = await added(stores.devices, a_device(), a_device())
    command = await added(stores.commands, a_command(first, idempotency_key="k"))
    await added(stores.commands, a_command(second, idempotency_key="k"), a_command(first), a_command(first))
    with pytest.raises(AlreadyExists):
        await stores.commands.add(a_command(first, idempotency_key="k"))
    assert await stores.commands.by_idempotency_key(TENANT, first.id, "k") == command
    assert await stores.commands.by_idempotency_key(TENANT, first.id, "other") is None


async def test_so_many_commands_wait_and_no_more_however_many_are_made_at_once(stores):
    device, other = await added(stores.devices, a_device(), a_device())
    outcomes = await asyncio.gather(*(stores.commands.add(a_command(device)) for _ in range(MAX_PENDING + 10)))
    assert sorted(outcomes) == [False] * 10 + [True] * MAX_PENDING
    waiting = await stores.commands.page(TENANT, {"device_id": device.id, "status": "pending"}, MAX_PENDING + 10)
    assert len(waiting) == MAX_PENDING
    assert await stores.commands.add(a_command(other)) is True
    for ended in (await stores.commands.deliver_next(device, now()), waiting[0]):
        await stores.commands.move(TENANT, device.id, ended.id, CommandStatus.EXECUTED, {})
        assert [await stores.commands.add(a_command(device)) for _ in range(2)] == [True, False]
    await stores.commands.cancel_pending(device)
    with pytest.raises(AlreadyExists):
        await stores.commands.add(waiting[1])
