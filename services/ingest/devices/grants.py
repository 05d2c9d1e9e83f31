"""Grants: what lets a device believe a phone, and carry out the command it brings, without asking us (a JWT, RFC 7519, HS256)."""

import base64
import hmac
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.ingest.devices.manage import found
from services.ingest.devices.ports import DeviceStore
from services.ingest.refusals import DeviceNotBound
from services.ingest.signatures import derived_key
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.device import Device
from shared.domain.device_command import DeviceCommand
from shared.domain.ids import new_id

GRANT_S = 300
"""How long a grant of access lives."""

_HEADER = {"alg": "HS256", "typ": "JWT"}


class DeviceGrants:
    """Signs grants with a key of the device's binding, which the device is told when it is bound, and nobody else.

    The grant of a command is made of what is kept, so it is the same whenever the command is read. A new binding makes older
    grants useless.
    """

    def __init__(self, secret: str) -> None:
        self._secret = derived_key(secret, b"device command grant")

    def key_of(self, device: Device) -> str:
        """Return the key of the device's present binding, as hexadecimal digits."""
        return self._key(device.id, device.binding_generation).hex()

    def token_of(self, command: DeviceCommand) -> str:
        """Return the grant: it names the device, the command and when it ends."""
        claims = {
            "sub": command.device_id,
            "jti": command.id,
            "cmd": command.type.value,
            "params": command.params,
            "iat": int(command.created_at.timestamp()),
            "exp": int(command.expires_at.timestamp()),
        }
        return _signed(claims, self._key(command.device_id, command.binding_generation))

    def access_to(self, device: Device, nonce: str | None) -> "AccessGrant":
        """Return a grant of access to the device as it is bound now, with the nonce that the device gave, if it gave one."""
        issued = int(now().timestamp())
        claims = {"sub": device.id, "jti": new_id("grant"), "nonce_d": nonce, "iat": issued, "exp": issued + GRANT_S}
        key = self._key(device.id, device.binding_generation)
        return AccessGrant(token=_signed(claims, key), expires_at=datetime.fromtimestamp(issued + GRANT_S, UTC))

    def _key(self, device_id: str, binding_generation: int) -> bytes:
        return hmac.digest(self._secret, f"{device_id}\n{binding_generation}".encode(), "sha256")


class AccessGrant(msgspec.Struct, frozen=True):
    """A grant of access to a device, until `expires_at`."""

    token: str
    expires_at: datetime


class GrantAccess:
    """Lets a phone speak to a device on behalf of whom it is bound to."""

    def __init__(self, devices: DeviceStore, grants: DeviceGrants) -> None:
        self._devices, self._grants = devices, grants

    async def __call__(self, caller: Caller, device_id: str, nonce: str | None) -> AccessGrant:
        """Return a grant; raises `DeviceNotBound` where no device has the key to check one."""
        device = await found(self._devices, caller, device_id)
        if device.end_user_id is None:
            raise DeviceNotBound("the device is not bound: it has no key to check a grant by")
        return self._grants.access_to(device, nonce)


def _signed(claims: dict[str, Any], key: bytes) -> str:
    signed = f"{_encoded(_HEADER)}.{_encoded(claims)}"
    return f"{signed}.{_base64(hmac.digest(key, signed.encode(), 'sha256'))}"


def _encoded(part: dict[str, Any]) -> str:
    return _base64(msgspec.json.encode(part))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
