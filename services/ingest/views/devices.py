"""Devices, how they are, and their commands."""

from typing import Annotated, Any

import msgspec

from services.ingest.devices.bind import Bound
from services.ingest.devices.grants import GRANT_S, AccessGrant, DeviceGrants
from services.ingest.devices.heartbeat import Heard, RejectedResult
from services.ingest.devices.state import DeviceReport, RecordingActivity
from shared.domain.clock import wire_time, wire_time_or_none
from shared.domain.device import Device, DeviceCounts, DeviceStatus, RecordingState
from shared.domain.device_command import CommandStatus, CommandType, DeviceCommand
from shared.domain.wire import an_id


class DeviceView(msgspec.Struct, kw_only=True):
    """A device, without its token (contract 13.1)."""

    id: Annotated[str, an_id("dev")]
    project_id: Annotated[str, an_id("proj")]
    serial_number: str
    model: str
    name: str | None
    firmware_version: str | None
    status: DeviceStatus
    end_user_id: str | None
    bound_at: str | None
    binding_generation: int
    battery_percent: int | None
    storage_used_mb: int | float | None
    storage_total_mb: int | float | None
    signal_strength_dbm: int | None
    last_heartbeat_at: str | None
    recording_state: RecordingState | None
    metadata: dict[str, Any]
    settings: dict[str, Any]
    created_at: str
    updated_at: str
    deleted_at: None = None


class BoundDeviceView(DeviceView, kw_only=True):
    """A device just bound: the only time its token and its grant key are shown."""

    device_token: str
    grant_key: str


class DeviceTokenView(msgspec.Struct, kw_only=True):
    """A device's new token: the only time it is shown."""

    device_token: str


class DeviceGrantView(msgspec.Struct, kw_only=True):
    """A grant of access to a device (contract 13.2)."""

    grant_token: str
    expires_at: str
    expires_in: int


class ActivityView(msgspec.Struct, kw_only=True):
    """Whether a device records just now; `initiated_by` is `command` or `device`."""

    active: bool
    recording_id: str | None
    started_at: str | None
    initiated_by: str | None


class DeviceStateView(msgspec.Struct, kw_only=True):
    """How a device is (contract 13.2); `online`: heard of within 15 minutes."""

    device_id: Annotated[str, an_id("dev")]
    online: bool
    recording: ActivityView
    battery_percent: int | None
    storage_used_mb: int | float | None
    storage_total_mb: int | float | None
    signal_strength_dbm: int | None
    last_heartbeat_at: str | None


class DeviceStatsView(msgspec.Struct, kw_only=True):
    """How many devices are online, have less than 15 % of battery, have used more than 90 % of their storage."""

    online_count: int
    low_battery_count: int
    storage_full_count: int


class CommandView(msgspec.Struct, kw_only=True):
    """A command to a device (contract 13.2)."""

    id: Annotated[str, an_id("cmd")]
    device_id: Annotated[str, an_id("dev")]
    type: CommandType
    status: CommandStatus
    params: dict[str, Any]
    idempotency_key: str | None
    grant_token: str
    result: dict[str, Any] | None
    error: str | None
    expires_at: str
    delivered_at: str | None
    executed_at: str | None
    created_at: str


class HeartbeatView(msgspec.Struct, kw_only=True):
    """The answer to a heartbeat: what the device is to do, and which of its results changed nothing."""

    status: str = "ok"
    commands: list[CommandView]
    rejected_results: list[RejectedResult]


def device_view(device: Device) -> DeviceView:
    """Show a device."""
    return DeviceView(**_fields(device))


def bound_device_view(bound: Bound) -> BoundDeviceView:
    """Show a device with its new token."""
    return BoundDeviceView(**_fields(bound.device), device_token=bound.token, grant_key=bound.grant_key)


def device_state_view(report: DeviceReport) -> DeviceStateView:
    """Show how a device is."""
    device = report.device
    return DeviceStateView(
        device_id=device.id,
        online=report.online,
        recording=_activity_view(report.recording),
        battery_percent=device.battery_percent,
        storage_used_mb=device.storage_used_mb,
        storage_total_mb=device.storage_total_mb,
        signal_strength_dbm=device.signal_strength_dbm,
        last_heartbeat_at=wire_time_or_none(device.last_heartbeat_at),
    )


def device_stats_view(counts: DeviceCounts) -> DeviceStatsView:
    """Show how all devices are."""
    return DeviceStatsView(
        online_count=counts.online, low_battery_count=counts.low_battery, storage_full_count=counts.storage_full
    )


def device_grant_view(grant: AccessGrant) -> DeviceGrantView:
    """Show a grant that was just made."""
    return DeviceGrantView(grant_token=grant.token, expires_at=wire_time(grant.expires_at), expires_in=GRANT_S)


def command_view(command: DeviceCommand, grants: DeviceGrants) -> CommandView:
    """Show a command with its grant."""
    return CommandView(
        id=command.id,
        device_id=command.device_id,
        type=command.type,
        status=command.status,
        params=command.params,
        idempotency_key=command.idempotency_key,
        grant_token=grants.token_of(command),
        result=command.result,
        error=command.error,
        expires_at=wire_time(command.expires_at),
        delivered_at=wire_time_or_none(command.delivered_at),
        executed_at=wire_time_or_none(command.executed_at),
        created_at=wire_time(command.created_at),
    )


def heartbeat_view(heard: Heard, grants: DeviceGrants) -> HeartbeatView:
    """Show what a device is to do."""
    return HeartbeatView(commands=[command_view(item, grants) for item in heard.commands], rejected_results=heard.rejected)


def _activity_view(activity: RecordingActivity) -> ActivityView:
    return ActivityView(
        active=activity.active,
        recording_id=activity.recording_id,
        started_at=wire_time_or_none(activity.started_at),
        initiated_by=activity.initiated_by,
    )


def _fields(device: Device) -> dict[str, Any]:
    return {
        "id": device.id,
        "project_id": device.project_id,
        "serial_number": device.serial_number,
        "model": device.model,
        "name": device.name,
        "firmware_version": device.firmware_version,
        "status": device.status,
        "end_user_id": device.end_user_id,
        "bound_at": wire_time_or_none(device.bound_at),
        "binding_generation": device.binding_generation,
        "battery_percent": device.battery_percent,
        "storage_used_mb": device.storage_used_mb,
        "storage_total_mb": device.storage_total_mb,
        "signal_strength_dbm": device.signal_strength_dbm,
        "last_heartbeat_at": wire_time_or_none(device.last_heartbeat_at),
        "recording_state": device.recording_state,
        "metadata": device.metadata,
        "settings": device.settings,
        "created_at": wire_time(device.created_at),
        "updated_at": wire_time(device.updated_at),
    }
