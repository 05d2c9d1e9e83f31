"""To whom a device belongs, and the token by which it proves that it is itself (contract sections 1.4 and 13)."""

from collections.abc import Callable

import msgspec

from services.ingest.devices.bodies import BindDevice
from services.ingest.devices.grants import DeviceGrants
from services.ingest.devices.manage import found
from services.ingest.devices.ports import CommandStore, DeviceStore
from services.ingest.outbox import decided_anew
from services.ingest.ports import EndUserLookup
from services.ingest.refusals import DeviceAlreadyBound, invalid_credential, not_found
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.device import Device, new_device_token
from shared.domain.kept_answer import Claim
from shared.domain.secret import secret_sha256
from shared.domain.tenant import Tenant
from shared.domain.transition import VersionConflict

Forget = Callable[[str], None]
_PAGE = 50


class BindingStores(msgspec.Struct, frozen=True, kw_only=True):
    """What a binding touches."""

    devices: DeviceStore
    commands: CommandStore
    end_users: EndUserLookup


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A device with its new token, which nobody can read again, and the key with which it checks grants."""

    device: Device
    token: str
    grant_key: str


class BindDevices:
    """Binds devices to end users and frees them; `forget` makes this replica look a device's token up anew."""

    def __init__(self, stores: BindingStores, grants: DeviceGrants, forget: Forget) -> None:
        self._devices, self._commands, self._end_users = stores.devices, stores.commands, stores.end_users
        self._grants, self._forget = grants, forget

    async def bind(self, caller: Caller, device_id: str, body: BindDevice) -> Bound:
        """Bind the device and give it a new token; the token it had, if any, is revoked.

        One that belongs to another end user is refused. Binding it again to the same one is no new binding: the way to a new
        token when the answer was lost.
        """
        if await self._end_users.get(caller.tenant, body.end_user_id) is None:
            raise not_found("end user", param="end_user_id")

        async def attempt() -> Bound:
            before = await found(self._devices, caller, device_id)
            if before.end_user_id not in {None, body.end_user_id}:
                raise DeviceAlreadyBound("the device is bound to another end user: unbind it first")
            return await self._bind(before, body.end_user_id)

        bound = await decided_anew(attempt)
        self._forget(bound.device.id)
        return bound

    async def unbind(self, caller: Caller, device_id: str, claim: Claim | None = None) -> Device:
        """Free the device and revoke its token; one that is free stays as it is.

        One that an earlier run of the same claim has freed, or found free, is returned as it stands, to whomever it is bound by
        now.
        """
        by = "" if claim is None else claim.new_id("unbind")

        async def attempt() -> Device:
            device = await found(self._devices, caller, device_id)
            return device if by in device.unbound_by else await self._free(device, by)

        return await decided_anew(attempt)

    async def release(self, tenant: Tenant, end_user_id: str) -> None:
        """Free every device of the end user."""
        while devices := await self._devices.page(tenant, _PAGE, end_user_id=end_user_id):
            for device in devices:
                try:
                    await self._free(device)
                except VersionConflict:
                    continue  # it is on the next page, should it still be theirs

    async def refresh(self, caller: Caller, device_id: str, token: str) -> str:
        """Replace the calling device's token, which is `token`, by a new one; the old one is revoked with that."""
        device = await found(self._devices, caller, device_id)
        renewed = new_device_token()
        replaced = await self._devices.replace_token(caller.tenant, device.id, secret_sha256(token), secret_sha256(renewed))
        self._forget(device.id)
        if not replaced:  # revoked a moment ago, here or at another replica
            raise invalid_credential()
        return renewed

    async def _bind(self, before: Device, end_user_id: str) -> Bound:
        token = new_device_token()
        device = await self._devices.bind(before, end_user_id, secret_sha256(token), now())
        if device is None:
            raise VersionConflict(before.id)
        if device.binding_generation != before.binding_generation:
            await self._commands.cancel_pending(before)
        return Bound(device=device, token=token, grant_key=self._grants.key_of(device))

    async def _free(self, before: Device, by: str = "") -> Device:
        if before.end_user_id is None and not by:
            return before
        device = await self._devices.unbind(before, now(), by)
        if device is None:
            raise VersionConflict(before.id)
        if before.end_user_id is None:
            return device
        self._forget(device.id)
        await self._commands.cancel_pending(before)
        return device
