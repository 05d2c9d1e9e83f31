"""Devices: what records, on behalf of the end user to whom it is bound (contract section 13)."""

import string
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.caller import Caller, CredentialKind
from shared.domain.secret import minted
from shared.domain.tenant import Mode, Tenant

ONLINE_FOR = timedelta(minutes=15)
"""How long after a heartbeat a device counts as online."""
LOW_BATTERY_PERCENT = 15
"""Below it a battery counts as low."""
FULL_STORAGE_RATIO = 0.9
"""Above it a storage counts as full."""

MOST_UNBINDINGS = 20
"""As many of those who freed a device, or found it free, are remembered, of whom each might ask again."""

_TOKEN_ALPHABET = string.ascii_lowercase + string.digits
_TOKEN_CHARACTERS = 32  # 165 bits


class DeviceStatus(StrEnum):
    """Whether the device belongs to an end user at present."""

    UNBOUND = "unbound"
    BOUND = "bound"


class DeviceState(StrEnum):
    """What a device says that it is doing."""

    IDLE = "idle"
    RECORDING = "recording"
    SYNCING = "syncing"
    UPLOADING = "uploading"
    CHARGING = "charging"
    LOW_BATTERY = "lowBattery"
    STORAGE_FULL = "storageFull"
    ERROR = "error"


class Connection(StrEnum):
    """By what a device is connected."""

    WIFI = "wifi"
    CELLULAR = "4g"
    BLUETOOTH = "ble"


class RecordingState(msgspec.Struct, frozen=True, kw_only=True):
    """What a device last said of its recording; a field that it never told is None."""

    device_state: DeviceState | None = None
    pending_recordings: int | None = None
    flags: int | None = None
    connection_type: tuple[Connection, ...] = ()


class Device(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """A device as it is kept; `serial_number` is unique within the tenant.

    `end_user_id` is to whom it is bound, None: to nobody; `binding_generation` counts the bindings there were. A bound device
    has one token, of which the SHA-256 is kept. `unbound_by` names the latest requests that freed it, or found it free, where
    those were sent with an idempotency key. `storage_used_ratio` is what of its storage is used, from 0 to 1.
    """

    id: str
    project_id: str
    mode: Mode
    serial_number: str
    model: str
    name: str | None = None
    firmware_version: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    end_user_id: str | None = None
    bound_at: datetime | None = None
    binding_generation: int = 0
    unbound_by: tuple[str, ...] = ()
    token_sha256: str | None = None
    token_last_used_at: datetime | None = None
    battery_percent: int | None = None
    storage_used_mb: int | float | None = None
    storage_total_mb: int | float | None = None
    storage_used_ratio: float | None = None
    signal_strength_dbm: int | None = None
    recording_state: RecordingState | None = None
    last_heartbeat_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def tenant(self) -> Tenant:
        """Whose device it is."""
        return Tenant(self.project_id, self.mode)

    @property
    def status(self) -> DeviceStatus:
        """Whether it is bound to an end user."""
        return DeviceStatus.UNBOUND if self.end_user_id is None else DeviceStatus.BOUND

    @property
    def caller(self) -> Caller:
        """Who the bearer of its token is."""
        return Caller(
            tenant=self.tenant,
            credential_id=self.id,
            kind=CredentialKind.DEVICE_TOKEN,
            device_id=self.id,
            end_user_id=self.end_user_id,
        )

    @property
    def last_used_at(self) -> datetime | None:
        """When its token was last seen."""
        return self.token_last_used_at

    def online(self, at: datetime) -> bool:
        """Say whether it was heard of not long before `at`."""
        return self.last_heartbeat_at is not None and self.last_heartbeat_at > at - ONLINE_FOR


class DeviceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How a tenant's devices fare."""

    online: int
    low_battery: int
    storage_full: int


def new_device_token() -> str:
    """Mint a device's token: `dtok_` and 32 lower-case letters and digits."""
    return minted("dtok", _TOKEN_CHARACTERS, _TOKEN_ALPHABET)
