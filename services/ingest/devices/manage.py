"""Devices as their project manages them (contract section 13)."""

from typing import Any

from msgspec import UNSET

from services.ingest.devices.bodies import ChangeDevice, RegisterDevice
from services.ingest.devices.ports import DeviceStore
from services.ingest.limits import checked_metadata
from services.ingest.paging import Page, Pager, PageRequest
from services.ingest.refusals import not_found
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.device import Device
from shared.domain.errors import AlreadyExists, TransientFailure
from shared.domain.kept_answer import Claim, identified

_DEFAULT_MODEL = "bota_pin"
_TYPE_VERSION = "_v1"

ITSELF = "me"
"""What a device calls itself in a path."""


class ManageDevices:
    """Registers, shows and changes devices."""

    def __init__(self, devices: DeviceStore, pager: Pager) -> None:
        self._devices, self._pager = devices, pager

    async def register(self, caller: Caller, body: RegisterDevice, claim: Claim | None = None) -> tuple[Device, bool]:
        """Store a new device; one of a known serial number is returned as it is, with False.

        One that an earlier run of the same claim has stored is new, too.
        """
        device = _registered(caller, body, claim)
        known = await self._devices.by_serial_number(caller.tenant, body.serial_number)
        if known is not None:
            return known, known.id == device.id
        try:
            await self._devices.add(device)
        except AlreadyExists:
            known = await self._devices.by_serial_number(caller.tenant, body.serial_number)
            if known is None:
                raise TransientFailure("a device is there and is not") from None
            return known, known.id == device.id
        return device, True

    async def get(self, caller: Caller, device_id: str) -> Device:
        """Return one."""
        return await found(self._devices, caller, device_id)

    async def page(self, caller: Caller, request: PageRequest, *, end_user_id: str | None) -> Page[Device]:
        """Return a page of them, newest first, or of those bound to one end user."""

        async def read(limit: int, before: str | None, offset: int) -> list[Device]:
            return await self._devices.page(caller.tenant, limit, end_user_id=end_user_id, before=before, offset=offset)

        return await self._pager.page(caller.tenant, "devices", request, read)

    async def change(self, caller: Caller, device_id: str, body: ChangeDevice) -> Device:
        """Set what the body names."""
        fields: dict[str, Any] = {}
        for name in ("firmware_version", "name"):
            if getattr(body, name) is not UNSET:
                fields[name] = getattr(body, name)
        for name in ("metadata", "settings"):
            if (value := getattr(body, name)) is not UNSET:
                fields[name] = checked_metadata(value, name)
        if not fields:
            return await self.get(caller, device_id)
        changed = await self._devices.change(caller.tenant, device_id, fields | {"updated_at": now()})
        if changed is None:
            raise not_found("device")
        return changed


async def found(devices: DeviceStore, caller: Caller, device_id: str) -> Device:
    """Return the device, the caller's own as `me`; raises `NotFound` when the caller's tenant has none such."""
    wanted = caller.device_id if device_id == ITSELF and caller.device_id is not None else device_id
    device = await devices.get(caller.tenant, wanted)
    if device is None:
        raise not_found("device")
    return device


def _registered(caller: Caller, body: RegisterDevice, claim: Claim | None) -> Device:
    at = now()
    older = (body.device_type or "").removesuffix(_TYPE_VERSION)
    return Device(
        id=identified("dev", claim),
        project_id=caller.tenant.project_id,
        mode=caller.tenant.mode,
        serial_number=body.serial_number,
        model=body.model or older or _DEFAULT_MODEL,
        name=body.name,
        firmware_version=body.firmware_version,
        metadata=checked_metadata(body.metadata),
        created_at=at,
        updated_at=at,
    )
