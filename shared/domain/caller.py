"""Who calls the API: keys of a project and what they allow (contract sections 1.1 and 1.2)."""

import hashlib
import re
import secrets
import string
from datetime import datetime
from enum import StrEnum

import msgspec

from shared.domain.tenant import Mode, Tenant

SCOPES: tuple[str, ...] = (
    "recordings:read",
    "recordings:write",
    "transcriptions:read",
    "transcriptions:write",
    "end_users:read",
    "end_users:write",
    "devices:read",
    "devices:write",
    "config:read",
    "config:write",
    "webhooks:read",
    "webhooks:write",
)
"""Everything a restricted key may be allowed; a secret key is allowed all of it."""

_ALPHANUMERICS = string.ascii_letters + string.digits
_SECRET_CHARACTERS = 40  # 238 bits
_SECRET = re.compile(r"[sr]k_(?:live|test)_[A-Za-z0-9]{20,80}")


class KeyKind(StrEnum):
    """A secret key may do everything in its project, a restricted key what its scopes list."""

    SECRET = "secret"  # noqa: S105 - the name of a kind of key
    RESTRICTED = "restricted"


_PREFIXES = {KeyKind.SECRET: "sk", KeyKind.RESTRICTED: "rk"}


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """A key as it is kept: the SHA-256 of the secret, never the secret; `hint` is its prefix and last four characters."""

    id: str
    project_id: str
    mode: Mode
    kind: KeyKind
    name: str | None = None
    scopes: tuple[str, ...]
    secret_sha256: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose data the key opens."""
        return Tenant(self.project_id, self.mode)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever presented a valid credential: one tenant, and what it may do there."""

    tenant: Tenant
    credential_id: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Say whether the credential allows `scope`."""
        return scope in self.scopes


def new_secret(kind: KeyKind, mode: Mode) -> str:
    """Mint the secret of a key, such as `sk_live_…`."""
    characters = "".join(secrets.choice(_ALPHANUMERICS) for _ in range(_SECRET_CHARACTERS))
    return f"{_PREFIXES[kind]}_{mode}_{characters}"


def is_key_secret(text: str) -> bool:
    """Say whether `text` has the form of a key's secret; anything else need not be looked up."""
    return _SECRET.fullmatch(text) is not None


def secret_sha256(secret: str) -> str:
    """Return what is kept of a secret: enough to recognise it, nothing to present."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_hint(secret: str) -> str:
    """Return what people may see of a secret: its kind and its last four characters."""
    return f"{secret[: secret.rindex('_') + 1]}…{secret[-4:]}"


def caller_of(key: ApiKey) -> Caller:
    """Return who a key's bearer is."""
    scopes = SCOPES if key.kind is KeyKind.SECRET else key.scopes
    return Caller(tenant=key.tenant, credential_id=key.id, scopes=frozenset(scopes))
