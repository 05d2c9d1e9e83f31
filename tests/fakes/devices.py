"""End users, devices and commands in memory: the same promises as `shared.storage`; rows by tenant and id."""

import msgspec

from shared.domain.device import FULL_STORAGE_RATIO, LOW_BATTERY_PERCENT, MOST_UNBINDINGS, DeviceCounts, RecordingState
from shared.domain.device_command import MAX_PENDING, CommandStatus, sources_of
from shared.domain.errors import AlreadyExists, TransientFailure

UNBOUND = dict.fromkeys(("end_user_id", "bound_at", "token_sha256", "token_last_used_at"))


class FakeTenantRows:
    """Rows by tenant and id; `down` makes every call fail as an outage does."""

    def __init__(self):
        self.rows = {}
        self.lookups = 0
        self.down = False

    async def get(self, tenant, row_id):
        self._check()
        self.lookups += 1
        return self.rows.get((tenant, row_id))

    def _check(self):
        if self.down:
            raise TransientFailure("the database is down")

    def _of(self, tenant):
        self._check()
        return [row for (owner, _), row in self.rows.items() if owner == tenant]

    def _put(self, row, **fields):
        changed = msgspec.structs.replace(row, **fields)
        self.rows[row.tenant, row.id] = changed
        return changed


def newest(rows, limit, before, offset):
    """Return a page of rows."""
    found = sorted((row for row in rows if before is None or row.id < before), key=lambda row: row.id, reverse=True)
    return found[offset : offset + limit]


class FakeEndUsers(FakeTenantRows):
    async def add(self, end_user):
        if (end_user.tenant, end_user.id) in self.rows:
            raise AlreadyExists(end_user.id)
        if end_user.external_id is not None and await self.by_external_id(end_user.tenant, end_user.external_id):
            raise AlreadyExists(end_user.external_id)
        self._put(end_user)

    async def get(self, tenant, row_id):
        found = await super().get(tenant, row_id)
        return None if getattr(found, "deleted_at", None) else found

    async def by_external_id(self, tenant, external_id):
        return next((row for row in self._of(tenant) if row.external_id == external_id), None)

    async def page(self, tenant, limit, *, before=None, offset=0):
        return newest([row for row in self._of(tenant) if row.deleted_at is None], limit, before, offset)

    async def remove(self, tenant, end_user_id, at):
        found = await self.get(tenant, end_user_id)
        if found is not None:
            known = dict.fromkeys(("external_id", "email", "name", "metadata"))
            self._put(found, **known, deleted_at=at, updated_at=at, erasure_due_at=at)
        return found is not None

    async def claim_erasure(self, at, until):
        self._check()
        due = [row for row in self.rows.values() if row.erasure_due_at is not None and row.erasure_due_at <= at]
        return self._put(min(due, key=lambda row: row.erasure_due_at), erasure_due_at=until) if due else None

    async def extend_erasure(self, claimed, until):
        self._check()
        present = self.rows.get((claimed.tenant, claimed.id))
        mine = present is not None and present.erasure_due_at == claimed.erasure_due_at
        return self._put(present, erasure_due_at=until) if mine else None


class FakeDevices(FakeTenantRows):
    async def add(self, device):
        if await self.by_serial_number(device.tenant, device.serial_number):
            raise AlreadyExists(device.serial_number)
        self._put(device)

    async def by_serial_number(self, tenant, serial_number):
        return next((row for row in self._of(tenant) if row.serial_number == serial_number), None)

    async def by_secret(self, secret_sha256):
        self._check()
        return next((row for row in self.rows.values() if row.token_sha256 == secret_sha256), None)

    async def touch(self, device_id, at):
        found = next(row for row in self.rows.values() if row.id == device_id)
        self._put(found, token_last_used_at=max(at, found.token_last_used_at or at))

    async def page(self, tenant, limit, *, end_user_id=None, before=None, offset=0):
        found = [row for row in self._of(tenant) if end_user_id in (None, row.end_user_id)]
        return newest(found, limit, before, offset)

    async def change(self, tenant, device_id, fields):
        found = await self.get(tenant, device_id)
        return found and self._put(found, **fields)

    async def heard(self, tenant, device_id, told, state):
        found = await self.get(tenant, device_id)
        if found is None:
            return None
        recording = (
            {"recording_state": msgspec.structs.replace(found.recording_state or RecordingState(), **state)} if state else {}
        )
        changed = self._put(found, **told, **recording)
        used, total = changed.storage_used_mb, changed.storage_total_mb
        return self._put(changed, storage_used_ratio=used / total if used is not None and total else None)

    async def bind(self, before, end_user_id, token_sha256, at):
        if not self._stands(before):
            return None
        fields = {"token_sha256": token_sha256, "token_last_used_at": None, "updated_at": at}
        if before.end_user_id != end_user_id:
            fields |= {"end_user_id": end_user_id, "bound_at": at, "binding_generation": before.binding_generation + 1}
        return self._put(self.rows[before.tenant, before.id], **fields)

    async def unbind(self, before, at, by=""):
        if not self._stands(before):
            return None
        present = self.rows[before.tenant, before.id]
        unbound_by = (*present.unbound_by, *([by] if by else []))[-MOST_UNBINDINGS:]
        freed = {} if before.end_user_id is None else {**UNBOUND, "updated_at": at}
        return self._put(present, **freed, unbound_by=unbound_by)

    async def replace_token(self, tenant, device_id, old_sha256, new_sha256):
        found = self.rows.get((tenant, device_id))
        if found is None or found.token_sha256 != old_sha256:
            return False
        self._put(found, token_sha256=new_sha256, token_last_used_at=None)
        return True

    async def counts(self, tenant, at):
        rows = self._of(tenant)
        return DeviceCounts(
            online=sum(row.online(at) for row in rows),
            low_battery=sum(row.battery_percent is not None and row.battery_percent < LOW_BATTERY_PERCENT for row in rows),
            storage_full=sum((row.storage_used_ratio or 0) > FULL_STORAGE_RATIO for row in rows),
        )

    def _stands(self, before):
        present = self.rows[before.tenant, before.id]
        wanted = (before.end_user_id, before.binding_generation)
        return (present.end_user_id, present.binding_generation) == wanted


class FakeCommands(FakeTenantRows):
    async def add(self, command):
        key = command.idempotency_key
        if (command.tenant, command.id) in self.rows:
            raise AlreadyExists(command.id)
        if key is not None and await self.by_idempotency_key(command.tenant, command.device_id, key):
            raise AlreadyExists(key)
        waiting = [row for row in self._of(command.tenant) if (row.device_id, row.status) == (command.device_id, "pending")]
        free = len(waiting) < MAX_PENDING
        if free:
            self._put(command)
        return free

    async def get(self, tenant, device_id, command_id):
        found = await super().get(tenant, command_id)
        return found if found is not None and found.device_id == device_id else None

    async def by_idempotency_key(self, tenant, device_id, idempotency_key):
        found = [row for row in self._of(tenant) if row.device_id == device_id and row.idempotency_key == idempotency_key]
        return found[0] if found else None

    async def page(self, tenant, matching, limit, *, before=None, offset=0):
        found = [row for row in self._of(tenant) if all(getattr(row, name) == value for name, value in matching.items())]
        return newest(found, limit, before, offset)

    async def erase_texts(self, tenant, end_user_id):
        for row in [row for row in self._of(tenant) if row.end_user_id == end_user_id]:
            emptied = {"metadata": {}} if "metadata" in row.params else {}
            self._put(row, params=row.params | emptied, result=None, error=None)

    async def move(self, tenant, device_id, command_id, to, fields):
        found = await self.get(tenant, device_id, command_id)
        return self._put(found, **fields, status=to) if found is not None and found.status in sources_of(to) else None

    async def deliver_next(self, device, at):
        waiting = await self.page(device.tenant, {"device_id": device.id, "status": CommandStatus.PENDING}, 1000)
        mine = [row for row in waiting if row.expires_at > at and row.binding_generation == device.binding_generation]
        return self._put(mine[-1], status=CommandStatus.DELIVERED, delivered_at=at) if mine else None

    async def expire(self, tenant, device_id, at):
        for row in await self.page(tenant, {"device_id": device_id}, 1000):
            if row.status in sources_of(CommandStatus.EXPIRED) and row.expires_at <= at:
                self._put(row, status=CommandStatus.EXPIRED)

    async def cancel_pending(self, ended):
        waiting = await self.page(ended.tenant, {"device_id": ended.id, "status": CommandStatus.PENDING}, 1000)
        theirs = [row for row in waiting if row.binding_generation <= ended.binding_generation]
        return len([self._put(row, status=CommandStatus.CANCELLED) for row in theirs])
