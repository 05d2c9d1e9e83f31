"""What the use cases of devices need from the outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from services.ingest.ports import CredentialLookup, DeviceLookup
from shared.domain.device import Device, DeviceCounts
from shared.domain.device_command import CommandStatus, DeviceCommand
from shared.domain.tenant import Tenant


class DeviceStore(DeviceLookup, CredentialLookup, Protocol):
    """Devices; as a lookup of credentials, by their tokens."""

    async def add(self, device: Device) -> None:
        """Store a new one; raises `AlreadyExists`."""

    async def by_serial_number(self, tenant: Tenant, serial_number: str) -> Device | None:
        """Return the one of this serial number."""

    async def page(
        self, tenant: Tenant, limit: int, *, end_user_id: str | None = None, before: str | None = None, offset: int = 0
    ) -> list[Device]:
        """Return the tenant's, or those of one end user, newest first."""

    async def change(self, tenant: Tenant, device_id: str, fields: Mapping[str, Any]) -> Device | None:
        """Set fields of one and return it as it stands then, None when there is none such."""

    async def heard(self, tenant: Tenant, device_id: str, told: Mapping[str, Any], state: Mapping[str, Any]) -> Device | None:
        """Set what a device has `told`, and in its `state` of recording; what neither names stays, whoever tells it meanwhile.

        Return it as it stands then, None when there is none such.
        """

    async def bind(self, before: Device, end_user_id: str, token_sha256: str, at: datetime) -> Device | None:
        """Bind one with a new token; None when it is not bound any more as `before` says."""

    async def unbind(self, before: Device, at: datetime, by: str = "") -> Device | None:
        """Free one, revoke its token and remember the request `by`, which is all where it is free already.

        None when it is not bound any more as `before` says.
        """

    async def replace_token(self, tenant: Tenant, device_id: str, old_sha256: str, new_sha256: str) -> bool:
        """Put a new token in the place of the old one; False when the old one is not good any more."""

    async def counts(self, tenant: Tenant, at: datetime) -> DeviceCounts:
        """Return how the tenant's devices fare."""


class CommandStore(Protocol):
    """Commands to devices."""

    async def add(self, command: DeviceCommand) -> bool:
        """Store a new one; False when as many wait for the device as may. Raises `AlreadyExists`."""

    async def get(self, tenant: Tenant, device_id: str, command_id: str) -> DeviceCommand | None:
        """Return one of the device's."""

    async def by_idempotency_key(self, tenant: Tenant, device_id: str, idempotency_key: str) -> DeviceCommand | None:
        """Return the device's command that was given this key."""

    async def page(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[DeviceCommand]:
        """Return those that match, newest first."""

    async def move(
        self, tenant: Tenant, device_id: str, command_id: str, to: CommandStatus, fields: Mapping[str, Any]
    ) -> DeviceCommand | None:
        """Move one as the table lets it and set fields; None when it does not, or there is none such."""

    async def deliver_next(self, device: Device, at: datetime) -> DeviceCommand | None:
        """Mark the oldest command that waits for the device's present binding as delivered and return it."""

    async def expire(self, tenant: Tenant, device_id: str, at: datetime) -> None:
        """Move every command whose time has passed to expired."""

    async def cancel_pending(self, ended: Device) -> int:
        """Cancel what waits for the device's binding that has `ended`, or an earlier one; not what waits for the next."""
