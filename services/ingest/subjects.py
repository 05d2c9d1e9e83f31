"""Of whom a new recording is, and which device made it: both have to exist in the caller's tenant (contract 1.4, 6.1)."""

import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from services.ingest.ports import DeviceLookup, EndUserLookup
from services.ingest.refusals import InvalidNow, InvalidRequest, not_found
from shared.domain.caller import Caller
from shared.domain.device import Device
from shared.domain.end_user import EndUser
from shared.domain.tenant import Tenant

_MOST_REMEMBERED = 100_000
_Kind = type[EndUser] | type[Device]
"""What an id was found to be of: an end user is no device because somebody names it as one."""


class Subjects(msgspec.Struct, frozen=True):
    """Of whom a recording is, and by which device it was made, if by one."""

    end_user_id: str
    device_id: str | None = None


class FindSubjects:
    """Says of whom a recording is. That somebody exists is believed for `believed_s` seconds; to whom a device is bound never."""

    def __init__(
        self, end_users: EndUserLookup, devices: DeviceLookup, believed_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._end_users, self._devices = end_users, devices
        self._believed_s, self._clock = believed_s, clock
        self._seen: OrderedDict[tuple[_Kind, Tenant, str], float] = OrderedDict()

    async def __call__(self, caller: Caller, device_id: str | None, end_user_id: str | None) -> Subjects:
        """Return the token's own device and end user, whatever the body says; with a key, those that the body names.

        Only a bound device may stand alone: its end user is meant.
        """
        if caller.device_id is not None:
            return _own(caller.device_id, caller.end_user_id)
        if end_user_id is not None:
            await self._check_end_user(caller.tenant, end_user_id)
            if device_id is not None:
                await self._check_device(caller.tenant, device_id)
            return Subjects(end_user_id, device_id)
        if device_id is None:
            raise InvalidRequest("end_user_id is required with an API key", param="end_user_id")
        device = await self._device(caller.tenant, device_id)
        if device.end_user_id is None:
            raise InvalidNow("end_user_id is required: the device is not bound to an end user", param="end_user_id")
        return Subjects(device.end_user_id, device_id)

    def forget(self, tenant: Tenant, identifier: str) -> None:
        """Look the end user or device up again when it is named next."""
        for kind in (EndUser, Device):
            self._seen.pop((kind, tenant, identifier), None)

    async def _check_end_user(self, tenant: Tenant, end_user_id: str) -> None:
        if not self._believed(EndUser, tenant, end_user_id):
            if await self._end_users.get(tenant, end_user_id) is None:
                raise not_found("end user", param="end_user_id")
            self._remember(EndUser, tenant, end_user_id)

    async def _check_device(self, tenant: Tenant, device_id: str) -> None:
        if not self._believed(Device, tenant, device_id):
            await self._device(tenant, device_id)
            self._remember(Device, tenant, device_id)

    async def _device(self, tenant: Tenant, device_id: str) -> Device:
        device = await self._devices.get(tenant, device_id)
        if device is None:
            raise not_found("device", param="device_id")
        return device

    def _believed(self, kind: _Kind, tenant: Tenant, identifier: str) -> bool:
        return self._seen.get((kind, tenant, identifier), 0.0) > self._clock()

    def _remember(self, kind: _Kind, tenant: Tenant, identifier: str) -> None:
        self._seen[kind, tenant, identifier] = self._clock() + self._believed_s
        self._seen.move_to_end((kind, tenant, identifier))
        if len(self._seen) > _MOST_REMEMBERED:
            self._seen.popitem(last=False)


def _own(device_id: str, end_user_id: str | None) -> Subjects:
    if end_user_id is None:  # only bound devices have tokens
        raise InvalidRequest("the device is not bound to an end user")
    return Subjects(end_user_id, device_id)
