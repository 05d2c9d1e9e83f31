"""Webhook endpoints as their owner manages them (contract 12.1, A19)."""

import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from services.ingest.limits import checked_metadata
from services.ingest.outbox import decided_anew
from services.ingest.paging import Page, Pager, PageRequest
from services.ingest.refusals import InvalidRequest, LimitReached, not_found
from services.ingest.webhooks.bodies import ChangeEndpoint, CreateEndpoint, RotateSecret
from services.ingest.webhooks.ports import DeliveryStore, EndpointStore
from services.ingest.webhooks.urls import check_url
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.errors import AlreadyExists, TransientFailure
from shared.domain.kept_answer import Claim, identified
from shared.domain.transition import VersionConflict
from shared.domain.webhook import (
    ALL_EVENTS,
    MAX_ENDPOINTS,
    DisabledReason,
    EndpointSecret,
    EndpointStatus,
    WebhookEndpoint,
    new_signing_secret,
)
from shared.events.topics import SUBSCRIBABLE

MOST_SECRETS = 10
"""Secrets valid at a time; more, and a receiver would be sent a signature header longer than some take."""


class EndpointRules(msgspec.Struct, frozen=True):
    """What the installation allows; `grace` is how long secrets stay valid after they were rotated out."""

    allow_private: bool
    grace: timedelta


class ManageEndpoints:
    """Creates, shows, changes and deletes a project's endpoints."""

    def __init__(self, endpoints: EndpointStore, deliveries: DeliveryStore, pager: Pager, rules: EndpointRules) -> None:
        self._endpoints, self._deliveries, self._pager, self._rules = endpoints, deliveries, pager, rules

    async def create(self, caller: Caller, body: CreateEndpoint, claim: Claim | None = None) -> WebhookEndpoint:
        """Store a new endpoint with a new secret; one that an earlier run of the same claim has stored keeps its own.

        Raises `NotFound` when that one was deleted since.
        """
        check_url(body.url, allow_private=self._rules.allow_private)
        endpoint_id = identified("we", claim)
        if claim is not None and (stored := await self._endpoints.get(caller.tenant, endpoint_id)):
            return _with_secrets(stored)
        at = now()
        endpoint = WebhookEndpoint(
            id=endpoint_id,
            project_id=caller.tenant.project_id,
            mode=caller.tenant.mode,
            url=body.url,
            events=_checked_events(body.events),
            description=body.description,
            metadata=checked_metadata(body.metadata),
            secrets=(EndpointSecret(value=new_signing_secret(), created_at=at),),
            created_at=at,
            updated_at=at,
        )
        try:
            added = await self._endpoints.add(endpoint)
        except AlreadyExists:
            return _with_secrets(await self.get(caller, endpoint_id))
        if not added:
            raise LimitReached(f"a project may have {MAX_ENDPOINTS} webhook endpoints at most")
        return endpoint

    async def get(self, caller: Caller, endpoint_id: str) -> WebhookEndpoint:
        """Return one; raises `NotFound`."""
        endpoint = await self._endpoints.get(caller.tenant, endpoint_id)
        if endpoint is None:
            raise not_found("webhook endpoint")
        return endpoint

    async def page(self, caller: Caller, request: PageRequest) -> Page[WebhookEndpoint]:
        """Return a page of them, newest first."""

        async def read(limit: int, before: str | None, offset: int) -> list[WebhookEndpoint]:
            return await self._endpoints.page(caller.tenant, limit, before=before, offset=offset)

        return await self._pager.page(caller.tenant, "webhook_endpoints", request, read)

    async def change(self, caller: Caller, endpoint_id: str, body: ChangeEndpoint) -> WebhookEndpoint:
        """Change what the body names and leave the rest.

        A new URL, and being enabled again, begin without a history of failures. What waits for an endpoint that is enabled again
        is sent at once.
        """
        changes = self._checked(body)
        after = await self._saved(caller, endpoint_id, lambda endpoint: _changed(endpoint, changes, body.status))
        if body.status is EndpointStatus.ENABLED and after.to_resume:
            await self._deliveries.resume(endpoint_id)
            with contextlib.suppress(VersionConflict):  # changed meanwhile: whoever enables it next resumes once more
                await self._endpoints.save(after, after.resumed())
        return after

    async def rotate_secret(
        self, caller: Caller, endpoint_id: str, body: RotateSecret, claim: Claim | None = None
    ) -> tuple[WebhookEndpoint, EndpointSecret]:
        """Give the endpoint a new secret, which signs from now on; those before stay valid for the time of grace. Return both.

        A second rotation ends none of them sooner, unless it says so: a grace of 0 leaves the new one alone, and nothing else is
        possible where those before do not open. One that an earlier run of the same claim has done is not done again: its
        secret is returned.
        """
        grace = self._rules.grace if body.grace_s is None else timedelta(seconds=body.grace_s)
        made_by = "" if claim is None else claim.new_id("rot")

        def rotate(endpoint: WebhookEndpoint) -> WebhookEndpoint:
            if endpoint.secret_made_by(made_by) is not None:
                return endpoint
            rotated = (_with_secrets(endpoint) if grace else endpoint).rotated(new_signing_secret(), grace, made_by)
            if len(rotated.secrets) > MOST_SECRETS:
                message = f"{MOST_SECRETS} secrets are valid already; wait until one has expired, or rotate with grace_s 0"
                raise LimitReached(message)
            return rotated

        endpoint = await self._saved(caller, endpoint_id, rotate)
        return endpoint, endpoint.secret_made_by(made_by) or endpoint.secrets[0]

    async def delete(self, caller: Caller, endpoint_id: str) -> None:
        """Delete one: it hears of nothing any more."""
        if not await self._endpoints.remove(caller.tenant, endpoint_id):
            raise not_found("webhook endpoint")

    def _checked(self, body: ChangeEndpoint) -> dict[str, Any]:
        """Return the fields to set, each as it may be kept."""
        changes: dict[str, Any] = {}
        if body.url is not msgspec.UNSET:
            check_url(body.url, allow_private=self._rules.allow_private)
            changes["url"] = body.url
        if body.events is not msgspec.UNSET:
            changes["events"] = _checked_events(body.events)
        if body.description is not msgspec.UNSET:
            changes["description"] = body.description
        if body.metadata is not msgspec.UNSET:
            changes["metadata"] = checked_metadata(body.metadata)
        return changes

    async def _saved(
        self, caller: Caller, endpoint_id: str, decide: Callable[[WebhookEndpoint], WebhookEndpoint]
    ) -> WebhookEndpoint:
        """Store what `decide` makes of the endpoint as it stands, and return that."""

        async def attempt() -> WebhookEndpoint:
            before = await self.get(caller, endpoint_id)
            after = decide(before)
            if after is not before:
                await self._endpoints.save(before, after)
            return after

        return await decided_anew(attempt)


def _with_secrets(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Return the endpoint if its secrets could be opened; whoever runs this may be able to mend it when they could not."""
    if not endpoint.can_sign:
        raise TransientFailure(f"the secrets of {endpoint.id} do not open")
    return endpoint


def _checked_events(events: Sequence[str]) -> tuple[str, ...]:
    unknown = [event for event in events if event != ALL_EVENTS and event not in SUBSCRIBABLE]
    if unknown:
        known = [ALL_EVENTS, *SUBSCRIBABLE]
        raise InvalidRequest(f"there is no event {unknown[0][:80]}", param="events", details={"events": known})
    return tuple(dict.fromkeys(events))


def _changed(endpoint: WebhookEndpoint, changes: dict[str, Any], status: EndpointStatus | msgspec.UnsetType) -> WebhookEndpoint:
    different = {name: value for name, value in changes.items() if getattr(endpoint, name) != value}
    if "url" in different:
        different["failing_since"] = None
    changed = endpoint.changed(**different) if different else endpoint
    if status is EndpointStatus.DISABLED:
        return changed.disabled(DisabledReason.REQUESTED)
    if status is EndpointStatus.ENABLED and changed.status is EndpointStatus.DISABLED:
        return changed.enabled()
    return changed
