"""Webhook endpoints: where a customer wants to hear of which events (contract section 12.1 and A19)."""

import base64
import secrets
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.tenant import Mode, Tenant

ALL_EVENTS = "*"
_SECRET_BYTES = 32


class EndpointStatus(StrEnum):
    """A disabled endpoint hears nothing."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class EndpointSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A signing secret, `whsec_` and base64; valid until `expires_at`, None: until it is rotated out."""

    value: str
    created_at: datetime
    expires_at: datetime | None = None


class WebhookEndpoint(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """An endpoint as it is kept. `secrets` are newest first; `failing_since` is when the present run of failures began."""

    id: str
    project_id: str
    mode: Mode
    url: str
    events: tuple[str, ...]
    description: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    secrets: tuple[EndpointSecret, ...]
    status: EndpointStatus = EndpointStatus.ENABLED
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose endpoint it is."""
        return Tenant(self.project_id, self.mode)

    def hears(self, event_type: str) -> bool:
        """Say whether events of this type go to the endpoint."""
        return self.status is EndpointStatus.ENABLED and (ALL_EVENTS in self.events or event_type in self.events)

    def valid_secrets(self, at: datetime) -> tuple[str, ...]:
        """Return the secrets that sign at this moment, newest first."""
        return tuple(secret.value for secret in self.secrets if secret.expires_at is None or secret.expires_at > at)


def new_signing_secret() -> str:
    """Mint a signing secret: `whsec_` and the base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
