"""Sealing: what we must be able to read again, and nobody may who only gets hold of the database.

AES-256-GCM under the installation's own keys. Each sealed text names the key it is sealed under, so keys can be changed: the
first one seals, all of them open. It is bound to the place it was sealed for, so it opens nowhere else.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.domain.errors import TransientFailure

_MARK = "sealed1"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class KeyNotGiven(TransientFailure):
    """Something is sealed under a key that this process was not given: whoever runs it can mend that, and nothing is lost."""


class SealBroken(Exception):
    """A text is not as it was sealed, or was sealed for another place."""


class Sealing:
    """Seals under the first of `keys`, each the base64 of 32 bytes, and opens under any of them."""

    def __init__(self, keys: Sequence[str]) -> None:
        raw_keys = [base64.b64decode(key, validate=True) for key in keys]
        if not raw_keys or any(len(raw) != _KEY_BYTES for raw in raw_keys):
            raise ValueError(f"a sealing key is the base64 of {_KEY_BYTES} bytes")
        self._ciphers = {_key_id(raw): AESGCM(raw) for raw in raw_keys}
        self._current = _key_id(raw_keys[0])

    def seal(self, text: str, place: str) -> str:
        """Return `text` sealed for `place`, such as a document's id; never the same twice."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._ciphers[self._current].encrypt(nonce, text.encode(), place.encode())
        return f"{_MARK}:{self._current}:{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """Return what was sealed for `place`; raises `KeyNotGiven` or `SealBroken`."""
        mark, _, rest = sealed.partition(":")
        if mark != _MARK:
            raise SealBroken(f"{place} is not sealed")
        key_id, _, text = rest.partition(":")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyNotGiven(f"{place} is sealed under key {key_id[:8]}, which is not among EARWITNESS_SEALING_KEYS")
        try:
            raw = base64.b64decode(text, validate=True)
            return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"{place} is not as it was sealed") from error

    def is_current(self, sealed: str) -> bool:
        """Say whether it is sealed under the key that seals now."""
        return sealed.startswith(f"{_MARK}:{self._current}:")


def _key_id(raw: bytes) -> str:
    return hashlib.sha256(b"sealing key" + raw).hexdigest()[:8]
