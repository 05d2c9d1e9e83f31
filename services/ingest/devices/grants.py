"""Grants: what lets a device carry out a command that a phone brings it, without asking us (a JWT, RFC 7519, HS256)."""

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from shared.domain.device import Device
from shared.domain.device_command import DeviceCommand

_HEADER = {"alg": "HS256", "typ": "JWT"}


class CommandGrants:
    """Signs grants with a key of the device's binding, which the device is told when it is bound, and nobody else.

    A grant is made of what is kept, so it is the same whenever the command is read. A new binding makes older grants useless.
    """

    def __init__(self, secret: str) -> None:
        self._secret = hmac.new(secret.encode(), b"device command grant", hashlib.sha256).digest()

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
        signed = f"{_encoded(_HEADER)}.{_encoded(claims)}"
        key = self._key(command.device_id, command.binding_generation)
        return f"{signed}.{_base64(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"

    def _key(self, device_id: str, binding_generation: int) -> bytes:
        return hmac.new(self._secret, f"{device_id}\n{binding_generation}".encode(), hashlib.sha256).digest()


def _encoded(part: dict[str, Any]) -> str:
    return _base64(msgspec.json.encode(part))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
