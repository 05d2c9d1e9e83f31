"""Webhook endpoints: where a customer wants to hear of which events (contract section 12.1 and A19)."""

import base64
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.clock import now
from shared.domain.tenant import Mode, Tenant

ALL_EVENTS = "*"
MAX_ENDPOINTS = 100
"""How many endpoints a project may have, in each mode."""
MAX_GRACE_S = 30 * 86_400
"""How long a secret that was rotated out may stay valid."""
_SECRET_BYTES = 32


class EndpointStatus(StrEnum):
    """A disabled endpoint hears nothing."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint is disabled."""

    GONE = "gone"  # it answered 410
    FAILING = "failing"  # too long without a success
    REQUESTED = "requested"  # by its owner


class EndpointSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A signing secret, `whsec_` and base64; valid until `expires_at`, None: until it is rotated out.

    `made_by` names the request that rotated it in, where that was sent with an idempotency key, else it is empty.
    """

    value: str
    created_at: datetime
    expires_at: datetime | None = None
    made_by: str = ""

    def valid(self, at: datetime) -> bool:
        """Say whether it signs at this moment."""
        return self.expires_at is None or self.expires_at > at


class WebhookEndpoint(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """An endpoint as it is kept. `secrets` are newest first; `failing_since` is when the present run of failures began.

    There are none when it is deleted, nor for whoever reads it where they cannot be opened. `version` counts its owner's changes,
    and its being disabled: a change made from an older one is not stored. What waited while it was disabled is still `to_resume`
    from the write that enables it until that is done.
    """

    id: str
    project_id: str
    mode: Mode
    url: str
    events: tuple[str, ...]
    description: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    secrets: tuple[EndpointSecret, ...]
    status: EndpointStatus = EndpointStatus.ENABLED
    disabled_reason: DisabledReason | None = None
    disabled_at: datetime | None = None
    failing_since: datetime | None = None
    to_resume: bool = False
    version: int = 0
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

    @property
    def can_sign(self) -> bool:
        """Whether its secrets are known here: nothing is sent to an endpoint without them, and nothing is lost."""
        return bool(self.secrets)

    def valid_secrets(self, at: datetime) -> tuple[str, ...]:
        """Return the secrets that sign at this moment, newest first."""
        return tuple(secret.value for secret in self.secrets if secret.valid(at))

    def changed(self, **fields: Any) -> "WebhookEndpoint":  # noqa: ANN401 - the fields of the struct itself, checked by msgspec
        """Return the endpoint with `fields` set, as its next version."""
        return msgspec.structs.replace(self, version=self.version + 1, updated_at=now(), **fields)

    def enabled(self) -> "WebhookEndpoint":
        """Return it enabled, its failures forgotten."""
        well = {"disabled_reason": None, "disabled_at": None, "failing_since": None}
        return self.changed(status=EndpointStatus.ENABLED, to_resume=True, **well)

    def resumed(self) -> "WebhookEndpoint":
        """Return it with nothing to resume; that is no change of its owner's."""
        return msgspec.structs.replace(self, to_resume=False)

    def disabled(self, reason: DisabledReason) -> "WebhookEndpoint":
        """Return it disabled since this moment; one that is disabled already keeps its own reason and time."""
        if self.status is EndpointStatus.DISABLED:
            return self
        return self.changed(status=EndpointStatus.DISABLED, disabled_reason=reason, disabled_at=now())

    def secret_made_by(self, request: str) -> EndpointSecret | None:
        """Return the secret that this request has rotated in, if it did and the secret is still there."""
        return next((secret for secret in self.secrets if request and secret.made_by == request), None)

    def rotated(self, secret: str, grace: timedelta, made_by: str = "") -> "WebhookEndpoint":
        """Return it with a new secret first; those before end after `grace`, or sooner if that was said before."""
        at = now()
        end = at + grace
        still = [old for old in self.secrets if old.valid(at) and grace]
        ending = [msgspec.structs.replace(old, expires_at=min(old.expires_at or end, end)) for old in still]
        return self.changed(secrets=(EndpointSecret(value=secret, created_at=at, made_by=made_by), *ending))


def new_signing_secret() -> str:
    """Mint a signing secret: `whsec_` and the base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
