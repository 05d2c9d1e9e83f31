"""Asking a device to do something, and following what becomes of it (contract section 13)."""

from datetime import timedelta
from typing import Any

import msgspec

from services.ingest.devices.bodies import DEFAULT_TTL_S, CreateCommand, RecordingParams
from services.ingest.devices.manage import found
from services.ingest.devices.ports import CommandStore, DeviceStore
from services.ingest.limits import checked_metadata
from services.ingest.paging import Page, Pager, PageRequest, given
from services.ingest.refusals import IdempotencyKeyReused, LimitReached, not_found
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.device import Device
from shared.domain.device_command import MAX_PENDING, CommandStatus, CommandType, DeviceCommand
from shared.domain.errors import AlreadyExists
from shared.domain.kept_answer import Claim, identified

_DEFAULTS = RecordingParams()


class CommandDevices:
    """Creates, shows and cancels commands. What is shown has expired if its time has passed, and waits for no earlier binding."""

    def __init__(self, devices: DeviceStore, commands: CommandStore, pager: Pager) -> None:
        self._devices, self._commands, self._pager = devices, commands, pager

    async def create(self, caller: Caller, device_id: str, body: CreateCommand, claim: Claim | None = None) -> DeviceCommand:
        """Store a command that waits for the device; with an idempotency key that the device knows, return that command.

        What an earlier run of the same claim has stored is returned as it stands.
        """
        device = await self._fresh(caller, device_id)
        command = _command(device, body, claim)
        if (known := await self._known(command)) is not None:
            return known
        if claim is not None and (stored := await self._commands.get(device.tenant, device.id, command.id)):
            return stored
        try:
            if await self._commands.add(command):
                return command
            refusal: Exception = LimitReached(f"{MAX_PENDING} commands may wait for a device at most")
        except AlreadyExists as error:
            refusal = error
        present = await self._known(command) or await self._commands.get(device.tenant, device.id, command.id)
        if present is None:
            raise refusal
        return present

    async def get(self, caller: Caller, device_id: str, command_id: str) -> DeviceCommand:
        """Return one."""
        device = await self._fresh(caller, device_id)
        command = await self._commands.get(device.tenant, device.id, command_id)
        if command is None:
            raise not_found("command")
        return command

    async def page(
        self, caller: Caller, device_id: str, request: PageRequest, *, status: CommandStatus | None
    ) -> Page[DeviceCommand]:
        """Return a page of a device's commands, newest first, perhaps those of one status only."""
        device = await self._fresh(caller, device_id)
        matching = given(device_id=device.id, status=status)

        async def read(limit: int, before: str | None, offset: int) -> list[DeviceCommand]:
            return await self._commands.page(device.tenant, matching, limit, before=before, offset=offset)

        return await self._pager.page(device.tenant, f"commands of {device.id}", request, read)

    async def cancel(self, caller: Caller, device_id: str, command_id: str) -> None:
        """Cancel a command that waits; raises `TransitionRefused` for any other."""
        device = await self._fresh(caller, device_id)
        if await self._commands.move(device.tenant, device.id, command_id, CommandStatus.CANCELLED, {}) is None:
            present = await self.get(caller, device_id, command_id)
            present.check_move(CommandStatus.CANCELLED)

    async def _fresh(self, caller: Caller, device_id: str) -> Device:
        """Return the device, its commands expired where their time has passed.

        Those that wait for an earlier binding are cancelled: one that was stored while the device was bound anew, and those that
        whoever bound it did not live to cancel.
        """
        device = await found(self._devices, caller, device_id)
        await self._commands.expire(device.tenant, device.id, now())
        await self._commands.cancel_pending(msgspec.structs.replace(device, binding_generation=device.binding_generation - 1))
        return device

    async def _known(self, wanted: DeviceCommand) -> DeviceCommand | None:
        if wanted.idempotency_key is None:
            return None
        known = await self._commands.by_idempotency_key(wanted.tenant, wanted.device_id, wanted.idempotency_key)
        if known is not None and (known.type, known.params, known.ttl_s) != (wanted.type, wanted.params, wanted.ttl_s):
            raise IdempotencyKeyReused("another command was given this idempotency_key", param="idempotency_key")
        return known


def _command(device: Device, body: CreateCommand, claim: Claim | None) -> DeviceCommand:
    at, ttl_s = now(), body.ttl or DEFAULT_TTL_S
    return DeviceCommand(
        id=identified("cmd", claim),
        project_id=device.project_id,
        mode=device.mode,
        device_id=device.id,
        end_user_id=device.end_user_id,
        binding_generation=device.binding_generation,
        type=body.type,
        params=_params(body),
        idempotency_key=body.idempotency_key,
        ttl_s=ttl_s,
        created_at=at,
        expires_at=at + timedelta(seconds=ttl_s),
    )


def _params(body: CreateCommand) -> dict[str, Any]:
    if body.type is not CommandType.START_RECORDING:
        return {}
    given = msgspec.structs.asdict(body.params or _DEFAULTS)
    complete = msgspec.structs.asdict(_DEFAULTS) | {name: value for name, value in given.items() if value is not None}
    return complete | {"metadata": checked_metadata(complete["metadata"], "params.metadata")}
