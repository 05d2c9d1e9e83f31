"""Webhook endpoints."""

from typing import Annotated, Any

import msgspec

from shared.domain.clock import wire_time, wire_time_or_none
from shared.domain.webhook import EndpointSecret, EndpointStatus, WebhookEndpoint
from shared.domain.wire import an_id, one_of


class EndpointView(msgspec.Struct, kw_only=True):
    """A webhook endpoint, without its secret."""

    id: Annotated[str, an_id("we")]
    url: str
    events: tuple[str, ...]
    description: str | None
    status: Annotated[str, one_of(EndpointStatus)]
    disabled_reason: str | None
    disabled_at: str | None
    failing_since: str | None
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


class NewEndpointView(EndpointView, kw_only=True):
    """A webhook endpoint with a secret just made: the only time it is shown."""

    secret: str


def endpoint_view(endpoint: WebhookEndpoint) -> EndpointView:
    """Show a webhook endpoint."""
    return EndpointView(**_endpoint_fields(endpoint))


def new_endpoint_view(endpoint: WebhookEndpoint, secret: EndpointSecret) -> NewEndpointView:
    """Show a webhook endpoint with this secret of it."""
    return NewEndpointView(**_endpoint_fields(endpoint), secret=secret.value)


def _endpoint_fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": endpoint.events,
        "description": endpoint.description,
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "disabled_at": wire_time_or_none(endpoint.disabled_at),
        "failing_since": wire_time_or_none(endpoint.failing_since),
        "metadata": endpoint.metadata,
        "created_at": wire_time(endpoint.created_at),
        "updated_at": wire_time(endpoint.updated_at),
    }
