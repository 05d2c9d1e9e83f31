"""A device tells how it is and what became of its commands, and is told what to do next (contract section 13)."""

from collections.abc import Iterable
from typing import Any

import msgspec

from services.ingest.bodies import Identifier
from services.ingest.devices.bodies import CommandResult, Heartbeat
from services.ingest.devices.manage import found
from services.ingest.devices.ports import CommandStore, DeviceStore
from services.ingest.limits import checked_metadata
from services.ingest.ports import EndUserLookup
from services.ingest.refusals import not_found
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.device import Device
from shared.domain.device_command import CommandStatus, DeviceCommand
from shared.domain.errors import TransientFailure
from shared.telemetry.logs import get_logger

log = get_logger()

MOST_COMMANDS = 20
"""More than these are not handed out at once; the rest comes with the next heartbeat."""

_AS_TOLD = (
    "battery_percent",
    "storage_used_mb",
    "storage_total_mb",
    "signal_strength_dbm",
    "firmware_version",
    "name",
)
_STATE = ("device_state", "pending_recordings", "flags", "connection_type")


class RejectedResult(msgspec.Struct, frozen=True, kw_only=True):
    """A result that changed nothing, and why; `command_id` is whatever the device sent as such."""

    command_id: Identifier
    reason: str


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What the device is answered."""

    commands: list[DeviceCommand]
    rejected: list[RejectedResult]


class TakeHeartbeat:
    """Takes heartbeats. A command goes out with one of them only, however many come at once."""

    def __init__(self, devices: DeviceStore, commands: CommandStore, end_users: EndUserLookup) -> None:
        self._devices, self._commands, self._end_users = devices, commands, end_users

    async def __call__(self, caller: Caller, device_id: str, body: Heartbeat) -> Heard:
        """Keep what the device tells, and return the commands that wait for it, delivered by that."""
        before = await found(self._devices, caller, device_id)
        results = [_as_kept(result, number) for number, result in enumerate(body.command_results or ())]  # all, or none counts
        outcomes = [await self._settle(before, result) for result in results]
        told = _named(body, _AS_TOLD) | {"last_heartbeat_at": now()}
        device = await self._devices.heard(before.tenant, before.id, told, _named(body, _STATE))
        if device is None:
            raise not_found("device")
        rejected = [outcome for outcome in outcomes if outcome is not None]
        return Heard(commands=await self._deliver(device), rejected=rejected)

    async def _settle(self, device: Device, result: CommandResult) -> RejectedResult | None:
        """Note what became of a command; to be told it again changes nothing.

        Of one that was given while the device belonged to an end user who is deleted, nothing is kept but that.
        """
        status = CommandStatus(result.status)
        fields: dict[str, Any] = {"result": result.result, "error": result.error}
        if await self._is_of_nobody_left(device, result.command_id):
            fields = {}
        if status is CommandStatus.EXECUTED:
            fields["executed_at"] = now()
        if await self._commands.move(device.tenant, device.id, result.command_id, status, fields) is not None:
            return None
        present = await self._commands.get(device.tenant, device.id, result.command_id)
        if present is not None and present.status is status:
            return None
        reason = "the device has no such command" if present is None else f"the command is {present.status}"
        return RejectedResult(command_id=result.command_id, reason=reason)

    async def _is_of_nobody_left(self, device: Device, command_id: str) -> bool:
        command = await self._commands.get(device.tenant, device.id, command_id)
        if command is None or command.end_user_id is None:
            return False
        return await self._end_users.get(device.tenant, command.end_user_id) is None

    async def _deliver(self, device: Device) -> list[DeviceCommand]:
        """Deliver what waits; what was delivered before a failure goes out all the same, for no other answer brings it."""
        commands: list[DeviceCommand] = []
        while len(commands) < MOST_COMMANDS:
            try:
                command = await self._commands.deliver_next(device, now())
            except TransientFailure as failure:
                if not commands:
                    raise
                log.warning("heartbeat.cut_short", device_id=device.id, error=type(failure).__name__)
                break
            if command is None:
                break
            commands.append(command)
        return commands


def _as_kept(result: CommandResult, number: int) -> CommandResult:
    if result.result is None:
        return result
    return msgspec.structs.replace(result, result=checked_metadata(result.result, f"command_results[{number}].result"))


def _named(body: Heartbeat, names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(body, name)) is not None}
