"""How a device is, as far as we know, and how all of them are (contract section 13)."""

from datetime import datetime, timedelta

import msgspec

from services.ingest.devices.manage import found
from services.ingest.devices.ports import CommandStore, DeviceStore
from services.ingest.ports import RecordingStore
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.device import Device, DeviceCounts, DeviceState
from shared.domain.device_command import CommandStatus, CommandType, DeviceCommand
from shared.domain.recording import Recording, RecordingStatus

_NEWEST_COMMANDS = 10
_MAY_BE_OBEYED = frozenset({CommandStatus.DELIVERED, CommandStatus.EXECUTED, CommandStatus.EXPIRED})


class RecordingActivity(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a device records just now; `initiated_by` is `command` or `device`."""

    active: bool
    recording_id: str | None = None
    started_at: datetime | None = None
    initiated_by: str | None = None


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """A device, and what follows from all that was heard of it."""

    device: Device
    online: bool
    recording: RecordingActivity


class ReportDevices:
    """Says how devices are.

    A device that was heard of lately records when it said so in its last heartbeat, or has begun to stream since; one that was
    not heard of lately does not. What it did for another end user than its present one does not count.
    """

    def __init__(self, devices: DeviceStore, commands: CommandStore, recordings: RecordingStore) -> None:
        self._devices, self._commands, self._recordings = devices, commands, recordings

    async def state(self, caller: Caller, device_id: str) -> DeviceReport:
        """Return how one device is."""
        device, at = await found(self._devices, caller, device_id), now()
        return DeviceReport(device=device, online=device.online(at), recording=await self._activity(device, at))

    async def stats(self, caller: Caller) -> DeviceCounts:
        """Return how many of the caller's devices are online, low on battery and short of storage."""
        return await self._devices.counts(caller.tenant, now())

    async def _activity(self, device: Device, at: datetime) -> RecordingActivity:
        if not device.online(at):
            return RecordingActivity(active=False)
        stream = await self._open_stream(device)
        says_so = device.recording_state is not None and device.recording_state.device_state is DeviceState.RECORDING
        begun_since = stream is not None and device.last_heartbeat_at is not None and stream.created_at > device.last_heartbeat_at
        if not says_so and not begun_since:
            return RecordingActivity(active=False)
        commanded = await self._commanded(device, at)
        return RecordingActivity(
            active=True,
            recording_id=None if stream is None else stream.id,
            started_at=_started(stream, commanded),
            initiated_by="device" if commanded is None else "command",
        )

    async def _open_stream(self, device: Device) -> Recording | None:
        matching = {"device_id": device.id, "status": RecordingStatus.STREAMING.value}
        newest = await self._recordings.page(device.tenant, matching, 1)
        since = [stream for stream in newest if device.bound_at is None or stream.created_at >= device.bound_at]
        return since[0] if since else None

    async def _commanded(self, device: Device, at: datetime) -> DeviceCommand | None:
        """Return the command by which the device may still be recording, if the last one it got was such."""
        newest = await self._commands.page(device.tenant, {"device_id": device.id}, _NEWEST_COMMANDS)
        own = [command for command in newest if command.binding_generation == device.binding_generation]
        got = [command for command in own if command.status in _MAY_BE_OBEYED and command.delivered_at is not None]
        about = [command for command in got if command.type in {CommandType.START_RECORDING, CommandType.STOP_RECORDING}]
        if not about or about[0].type is CommandType.STOP_RECORDING or about[0].delivered_at is None:
            return None
        longest = timedelta(seconds=about[0].params["max_duration_sec"])
        return about[0] if about[0].delivered_at + longest > at else None


def _started(stream: Recording | None, commanded: DeviceCommand | None) -> datetime | None:
    if stream is not None:
        return stream.started_at or stream.created_at
    return None if commanded is None else commanded.executed_at or commanded.delivered_at
