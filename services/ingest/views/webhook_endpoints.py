"""Webhook endpoints."""

from typing import Any

import msgspec

from shared.domain.clock import wire_time
from shared.domain.webhook import WebhookEndpoint


class EndpointView(msgspec.Struct, kw_only=True):
    """A webhook endpoint, without its secret."""

    id: str
    url: str
    events: tuple[str, ...]
    description: str | None
    status: str
    disabled_reason: str | None
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


class NewEndpointView(EndpointView, kw_only=True):
    """A new webhook endpoint: the only time its secret is shown."""

    secret: str


def endpoint_view(endpoint: WebhookEndpoint) -> EndpointView:
    """Show a webhook endpoint."""
    return EndpointView(**_endpoint_fields(endpoint))


def new_endpoint_view(endpoint: WebhookEndpoint) -> NewEndpointView:
    """Show a webhook endpoint with its secret."""
    return NewEndpointView(**_endpoint_fields(endpoint), secret=endpoint.secrets[0].value)


def _endpoint_fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": endpoint.events,
        "description": endpoint.description,
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "metadata": endpoint.metadata,
        "created_at": wire_time(endpoint.created_at),
        "updated_at": wire_time(endpoint.updated_at),
    }
