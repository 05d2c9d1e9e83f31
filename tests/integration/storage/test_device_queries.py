"""What is asked of end users, devices and commands, as MongoDB saw it: each query by an index, reading little else."""

import asyncio
import secrets
from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.device import Device
from shared.domain.device_command import CommandStatus, CommandType, DeviceCommand
from shared.domain.end_user import EndUser
from shared.domain.tenant import Mode, Tenant
from shared.settings import MongoSettings
from shared.storage.device_commands import DeviceCommands
from shared.storage.devices import Devices
from shared.storage.end_users import EndUsers
from shared.storage.mongo import Mongo
from tests.integration.storage.test_queries import asked_by, assert_indexed

TENANT = Tenant("proj_3", Mode.LIVE)
MANY = 700


class Repositories:
    """End users, devices and commands of seven projects."""

    def __init__(self, mongo):
        self.mongo = mongo
        self.end_users, self.devices, self.commands = EndUsers(mongo), Devices(mongo), DeviceCommands(mongo)

    async def fill(self):
        stores = (self.end_users, self.devices, self.commands)
        await asyncio.gather(*(store.ensure_indexes() for store in stores))
        await asyncio.gather(*(self.add(number) for number in range(MANY)))

    async def add(self, number):
        at = now() - timedelta(minutes=number)
        common = {"project_id": f"proj_{number % 7}", "mode": Mode.LIVE, "created_at": at}
        gone = at if number % 20 == 0 else None
        external = None if gone else f"ext_{number}"
        await self.end_users.add(
            EndUser(id=f"eu_{number:03d}", external_id=external, updated_at=at, deleted_at=gone, erasure_due_at=gone, **common)
        )
        await self.devices.add(
            Device(
                id=f"dev_{number:03d}",
                serial_number=f"SN-{number}",
                model="bota_pin",
                end_user_id=f"eu_{number % 9}",
                token_sha256=f"hash_{number}",
                battery_percent=number % 100,
                storage_used_ratio=number % 100 / 100,
                last_heartbeat_at=at,
                updated_at=at,
                **common,
            )
        )
        status = list(CommandStatus)[number % 6]
        await self.commands.add(
            DeviceCommand(
                id=f"cmd_{number:03d}",
                project_id="proj_3",
                mode=Mode.LIVE,
                device_id=f"dev_{number % 5}",
                end_user_id=f"eu_{number % 9}",
                binding_generation=0,
                type=CommandType.STOP_RECORDING,
                status=status,
                idempotency_key=f"key_{number}" if number % 2 else None,
                ttl_s=300,
                created_at=at,
                expires_at=now() + timedelta(hours=1),
            )
        )


@pytest.fixture(scope="module")
async def repositories(mongo_url):
    """Filled repositories, of whose queries the server keeps a record."""
    mongo = Mongo(MongoSettings(mongo_url=mongo_url, mongo_database=f"test_{secrets.token_hex(6)}"))
    repositories = Repositories(mongo)
    await repositories.fill()
    await mongo.database.command("profile", 2)
    yield repositories
    await mongo.database.command("profile", 0)
    mongo.close()


DEVICE = Device(id="dev_1", project_id="proj_3", mode=Mode.LIVE, serial_number="S", model="m", created_at=now(), updated_at=now())
BOUND = Device(
    id="dev_010", project_id="proj_3", mode=Mode.LIVE, serial_number="SN-10", model="m", end_user_id="eu_1",
    created_at=now(), updated_at=now(),
)  # fmt: skip
OF_ONE = {"device_id": "dev_1"}
QUERIES = {
    "an end user by its external id": lambda r: r.end_users.by_external_id(TENANT, "ext_10"),
    "an end user to delete": lambda r: r.end_users.remove(Tenant("proj_9"), "eu_010", now()),
    "the next erasure": lambda r: r.end_users.claim_erasure(now(), now() + timedelta(minutes=1)),
    "a device by its serial number": lambda r: r.devices.by_serial_number(TENANT, "SN-10"),
    "a device by its token": lambda r: r.devices.by_secret("hash_10"),
    "a device to bind": lambda r: r.devices.bind(BOUND, "eu_1", "hash_new", now()),
    "a device to free": lambda r: r.devices.unbind(BOUND, now()),
    "a token to replace": lambda r: r.devices.replace_token(TENANT, "dev_010", "hash_new", "hash_newer"),
    "a heartbeat": lambda r: r.devices.heard(TENANT, "dev_010", {"battery_percent": 3}, {}),
    "a device to change": lambda r: r.devices.change(TENANT, "dev_010", {"name": "Pin"}),
    "a command by its idempotency key": lambda r: r.commands.by_idempotency_key(TENANT, "dev_1", "key_11"),
    "a command": lambda r: r.commands.get(TENANT, "dev_1", "cmd_011"),
    "a command to deliver": lambda r: r.commands.deliver_next(DEVICE, now()),
    "commands that have expired": lambda r: r.commands.expire(TENANT, "dev_9", now()),
    "commands to empty": lambda r: r.commands.erase_texts(TENANT, "eu_1"),
    "commands to cancel": lambda r: r.commands.cancel_pending(msgspec.structs.replace(DEVICE, id="dev_2")),
}
for position in ({}, {"before": "z"}, {"offset": 10}):
    QUERIES |= {
        f"end users {position}": lambda r, at=position: r.end_users.page(TENANT, 26, **at),
        f"devices {position}": lambda r, at=position: r.devices.page(TENANT, 26, **at),
        f"devices of an end user {position}": lambda r, at=position: r.devices.page(TENANT, 5, end_user_id="eu_1", **at),
        f"commands {position}": lambda r, at=position: r.commands.page(TENANT, OF_ONE, 21, **at),
        f"commands by status {position}": lambda r, at=position: r.commands.page(TENANT, OF_ONE | {"status": "failed"}, 5, **at),
    }


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_is_answered_by_an_index_in_its_order(repositories, name):
    entries = await asked_by(repositories, QUERIES[name])
    assert_indexed(entries)


async def test_counting_what_is_due_to_be_erased_reads_nothing_else(repositories):
    depth, _ = await repositories.end_users.erasures_due()
    for entry in await asked_by(repositories, lambda r: r.end_users.erasures_due()):
        assert entry["planSummary"].startswith("IXSCAN { erasure_due_at")
        assert entry["keysExamined"] <= depth + 1


async def test_counting_devices_reads_index_keys_of_those_counted_and_no_device(repositories):
    entries = await asked_by(repositories, lambda r: r.devices.counts(TENANT, now()))
    assert len(entries) == 3
    for entry in entries:
        assert entry["planSummary"].startswith("IXSCAN")
        assert entry["docsExamined"] == 0, entry["planSummary"]
        assert entry["keysExamined"] <= MANY / 7 / 5, entry["planSummary"]
