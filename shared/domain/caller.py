"""Who calls the API: the credentials of a project and what they allow (contract sections 1.1, 1.2 and 1.4)."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from shared.domain.recording import Recording
from shared.domain.secret import minted
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

_SECRET_CHARACTERS = 40  # 238 bits
_SECRET = re.compile(r"(?:[sr]k_(?:live|test)|dtok|up)_[A-Za-z0-9]{20,80}")


class KeyKind(StrEnum):
    """A secret key may do everything in its project, a restricted key what its scopes list."""

    SECRET = "secret"  # noqa: S105 - the name of a kind of key
    RESTRICTED = "restricted"


_PREFIXES = {KeyKind.SECRET: "sk", KeyKind.RESTRICTED: "rk"}


class CredentialKind(StrEnum):
    """What was presented: a key of a server, the token of one device, or the token of one upload."""

    SECRET_KEY = "secret_key"  # noqa: S105 - the name of a kind of credential
    RESTRICTED_KEY = "restricted_key"
    DEVICE_TOKEN = "device_token"  # noqa: S105 - as above
    UPLOAD_TOKEN = "upload_token"  # noqa: S105 - as above


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever presented a valid credential: one tenant, and what it may do there.

    A device token carries `device_id` and, while the device is bound, `end_user_id`; an upload token carries `recording_id`.
    """

    tenant: Tenant
    credential_id: str
    kind: CredentialKind
    scopes: frozenset[str] = frozenset()
    device_id: str | None = None
    end_user_id: str | None = None
    recording_id: str | None = None
    expires_at: datetime | None = None

    def may(self, scope: str) -> bool:
        """Say whether the credential allows `scope`."""
        return scope in self.scopes

    @property
    def sight(self) -> dict[str, str]:
        """What of a recording holds for those that this caller sees, by field; an upload token's is the one of its id."""
        bounds = {"device_id": self.device_id, "end_user_id": self.end_user_id}
        return {name: value for name, value in bounds.items() if value is not None}

    def sees(self, recording: Recording) -> bool:
        """Say whether `recording`, of the caller's tenant, exists for this caller.

        For a device, what it recorded for whom it is bound to: an earlier end user's recordings are no business of the next.
        """
        own = all(getattr(recording, name) == value for name, value in self.sight.items())
        return own and self.recording_id in {None, recording.id}


class Credential(Protocol):
    """What a kept credential says of its bearer."""

    @property
    def caller(self) -> Caller:
        """Who the bearer is."""

    @property
    def last_used_at(self) -> datetime | None:
        """When it was last seen."""


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
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose data the key opens."""
        return Tenant(self.project_id, self.mode)

    @property
    def caller(self) -> Caller:
        """Who the bearer is."""
        secret = self.kind is KeyKind.SECRET
        return Caller(
            tenant=self.tenant,
            credential_id=self.id,
            kind=CredentialKind.SECRET_KEY if secret else CredentialKind.RESTRICTED_KEY,
            scopes=frozenset(SCOPES if secret else self.scopes),
            expires_at=self.expires_at,
        )


def new_secret(kind: KeyKind, mode: Mode) -> str:
    """Mint the secret of a key, such as `sk_live_…`."""
    return minted(f"{_PREFIXES[kind]}_{mode}", _SECRET_CHARACTERS)


def credential_prefix(text: str) -> str:
    """Return the prefix by which a credential of any kind is looked up; empty when `text` has the form of none."""
    return text.partition("_")[0] if _SECRET.fullmatch(text) else ""
