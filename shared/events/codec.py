"""How an event becomes the bytes of a message and the document of an outbox, and back."""

from datetime import datetime
from typing import Any

import msgspec

from shared.events.event import Event
from shared.events.topics import AnyEvent

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """Return the event as the JSON of a Kafka message."""
    return _encoder.encode(event)


def decode(message: bytes) -> AnyEvent:
    """Read a Kafka message; raise `msgspec.DecodeError` (or its `ValidationError`) when it is no event of ours."""
    try:
        return _decoder.decode(message)
    except (UnicodeDecodeError, RecursionError) as error:  # msgspec lets both through
        raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from error


def to_document(event: Event) -> dict[str, Any]:
    """Return the event as the document that an outbox and the `events` collection hold."""
    document: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(datetime,))
    return document


def from_document(document: dict[str, Any]) -> AnyEvent:
    """Read an event from an outbox or from `events`; raise `msgspec.ValidationError` when it is none."""
    event: AnyEvent = msgspec.convert(document, AnyEvent)
    return event
