"""What clients send about webhook endpoints; a key that may change only one thing may leave out the others."""

from typing import Annotated

import msgspec

from services.ingest.limits import Metadata
from shared.domain.webhook import ALL_EVENTS, MAX_GRACE_S, EndpointStatus
from shared.events.topics import PUBLIC_EVENT_TYPES, SUBSCRIBABLE

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
EventType = Annotated[str, msgspec.Meta(extra_json_schema={"enum": [ALL_EVENTS, *SUBSCRIBABLE]})]
Events = Annotated[list[EventType], msgspec.Meta(min_length=1, max_length=100)]
Description = Annotated[str, msgspec.Meta(max_length=1024)]


class CreateEndpoint(msgspec.Struct, kw_only=True):
    """`POST /webhook-endpoints`."""

    url: Url
    events: Events
    description: Description | None = None
    metadata: Metadata | None = None


class ChangeEndpoint(msgspec.Struct, kw_only=True):
    """`PATCH /webhook-endpoints/{id}`: what is left out stays; null empties the description and the metadata."""

    url: Url | msgspec.UnsetType = msgspec.UNSET
    events: Events | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType | None = msgspec.UNSET
    metadata: Metadata | msgspec.UnsetType | None = msgspec.UNSET
    status: EndpointStatus | msgspec.UnsetType = msgspec.UNSET


class RotateSecret(msgspec.Struct, kw_only=True):
    """`POST /webhook-endpoints/{id}/rotate-secret`: how long the secrets before stay valid, if not as long as usual."""

    grace_s: Annotated[int, msgspec.Meta(ge=0, le=MAX_GRACE_S)] | None = None


class SendTest(msgspec.Struct, kw_only=True):
    """`POST /webhook-endpoints/{id}/test`: which event to send an example of."""

    event_type: Annotated[str, msgspec.Meta(max_length=100, extra_json_schema={"enum": list(PUBLIC_EVENT_TYPES)})] | None = None
