"""Secrets that we mint and hand out once, and what is kept of them."""

import hashlib
import secrets
import string

_ALPHANUMERICS = string.ascii_letters + string.digits


def minted(prefix: str, characters: int, alphabet: str = _ALPHANUMERICS) -> str:
    """Mint a secret such as `up_…`: so many `characters` behind the prefix, which nobody can guess."""
    return f"{prefix}_{''.join(secrets.choice(alphabet) for _ in range(characters))}"


def secret_sha256(secret: str) -> str:
    """Return what is kept of a secret: enough to recognise it, nothing to present."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_hint(secret: str) -> str:
    """Return what people may see of a secret: its kind and its last four characters."""
    return f"{secret[: secret.rindex('_') + 1]}…{secret[-4:]}"
