"""What clients and devices send of devices."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from services.ingest.bodies import Identifier
from services.ingest.limits import MAX_INTEGER, Metadata
from shared.domain.device import Connection, DeviceState
from shared.domain.device_command import CommandType

Firmware = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
DeviceName = Annotated[str, msgspec.Meta(max_length=128)]
HeartbeatName = Annotated[str, msgspec.Meta(max_length=64)]
Model = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]
Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Megabytes = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)] | Annotated[float, msgspec.Meta(ge=0, le=1e18)]
Decibels = Annotated[int, msgspec.Meta(ge=-1000, le=1000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]
Nonce = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,256}\Z")]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
DEFAULT_TTL_S = 300


class RegisterDevice(msgspec.Struct, kw_only=True):
    """`POST /devices`; `device_type` is the older name of `model`, with a version at its end."""

    serial_number: Identifier
    model: Model | None = None
    device_type: Model | None = None
    firmware_version: Firmware | None = None
    name: DeviceName | None = None
    metadata: Metadata | None = None


class ChangeDevice(msgspec.Struct, kw_only=True):
    """`PATCH /devices/{id}`: what is not named stays; null clears."""

    firmware_version: Firmware | UnsetType | None = UNSET
    name: DeviceName | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    settings: Metadata | UnsetType | None = UNSET


class BindDevice(msgspec.Struct, kw_only=True):
    """`POST /devices/{id}/bind`."""

    end_user_id: Identifier


class RequestGrant(msgspec.Struct, kw_only=True):
    """`POST /devices/{id}/grant`; `nonce_d` is the device's own, which it looks for in the grant."""

    nonce_d: Nonce | None = None


class CommandResult(msgspec.Struct, kw_only=True):
    """What became of a command, as the device tells it."""

    command_id: Identifier
    status: Literal["executed", "failed"]
    result: Metadata | None = None
    error: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class Heartbeat(msgspec.Struct, kw_only=True):
    """`POST /devices/{id}/heartbeat`: a device tells what it knows; what it does not name stays as it was."""

    battery_percent: Percent | None = None
    storage_used_mb: Megabytes | None = None
    storage_total_mb: Megabytes | None = None
    signal_strength_dbm: Decibels | None = None
    firmware_version: Firmware | None = None
    name: HeartbeatName | None = None
    device_state: DeviceState | None = None
    pending_recordings: Count | None = None
    flags: Byte | None = None
    connection_type: Annotated[list[Connection], msgspec.Meta(max_length=8)] | None = None
    command_results: Annotated[list[CommandResult], msgspec.Meta(max_length=50)] | None = None


class RecordingParams(msgspec.Struct, kw_only=True):
    """`params` of `start_recording`."""

    max_duration_sec: Seconds | None = 3600
    upload_immediately: bool | None = True
    metadata: Metadata | None = None


class CreateCommand(msgspec.Struct, kw_only=True):
    """`POST /devices/{id}/commands`; the commands other than `start_recording` take no `params`."""

    type: CommandType
    params: RecordingParams | None = None
    idempotency_key: Key | None = None
    ttl: Seconds | None = DEFAULT_TTL_S
