"""Webhook endpoints as their owner manages them (contract 12.1, A19)."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from services.ingest.bodies import CreateEndpoint
from services.ingest.limits import checked_metadata
from services.ingest.paging import Page, Pager, PageRequest
from services.ingest.ports import EndpointStore
from services.ingest.refusals import InvalidRequest, LimitReached, not_found
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.webhook import ALL_EVENTS, EndpointSecret, WebhookEndpoint, new_signing_secret
from shared.events.topics import PUBLIC_EVENT_TYPES

MAX_ENDPOINTS = 100
_LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal")


class ManageEndpoints:
    """Creates, shows and deletes a project's endpoints.

    Without `allow_private` a URL must be https and must not name a private place; what a name resolves to is checked when
    something is sent.
    """

    def __init__(self, endpoints: EndpointStore, pager: Pager, *, allow_private: bool) -> None:
        self._endpoints, self._pager, self._allow_private = endpoints, pager, allow_private

    async def create(self, caller: Caller, body: CreateEndpoint) -> WebhookEndpoint:
        """Store a new endpoint with a new secret."""
        check_url(body.url, allow_private=self._allow_private)
        at = now()
        endpoint = WebhookEndpoint(
            id=new_id("we"),
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
        if len(await self._endpoints.page(caller.tenant, MAX_ENDPOINTS)) >= MAX_ENDPOINTS:
            raise LimitReached(f"a project may have {MAX_ENDPOINTS} webhook endpoints at most")
        await self._endpoints.add(endpoint)
        return endpoint

    async def get(self, caller: Caller, endpoint_id: str) -> WebhookEndpoint:
        """Return one."""
        endpoint = await self._endpoints.get(caller.tenant, endpoint_id)
        if endpoint is None:
            raise not_found("webhook endpoint", endpoint_id)
        return endpoint

    async def page(self, caller: Caller, request: PageRequest) -> Page[WebhookEndpoint]:
        """Return a page of them, newest first."""

        async def read(limit: int, before: str | None, offset: int) -> list[WebhookEndpoint]:
            return await self._endpoints.page(caller.tenant, limit, before=before, offset=offset)

        return await self._pager.page(caller.tenant, "webhook_endpoints", request, read)

    async def delete(self, caller: Caller, endpoint_id: str) -> None:
        """Delete one: it hears of nothing any more."""
        if not await self._endpoints.remove(caller.tenant, endpoint_id):
            raise not_found("webhook endpoint", endpoint_id)


def check_url(url: str, *, allow_private: bool) -> None:
    """Refuse what no webhook can or may be sent to."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _bad_url("is not a URL") from error
    if not host or any(character.isspace() or not character.isprintable() for character in url):
        raise _bad_url("is not a URL")
    if parts.scheme not in (("https", "http") if allow_private else ("https",)):
        raise _bad_url("must begin with https://")
    if parts.username is not None or parts.fragment:
        raise _bad_url("must not hold a user name or a fragment")
    if not allow_private and _is_private(host):
        raise _bad_url("must be publicly reachable")


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith(_LOCAL_NAMES)


def _bad_url(why: str) -> InvalidRequest:
    return InvalidRequest(f"url {why}", param="url")


def _checked_events(events: Sequence[str]) -> tuple[str, ...]:
    unknown = [event for event in events if event != ALL_EVENTS and event not in PUBLIC_EVENT_TYPES]
    if unknown:
        known = [ALL_EVENTS, *PUBLIC_EVENT_TYPES]
        raise InvalidRequest(f"there is no event {unknown[0][:80]}", param="events", details={"events": known})
    return tuple(dict.fromkeys(events))
