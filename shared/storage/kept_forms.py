"""Events as MongoDB holds them, read again: one in a form that this release does not know must not keep the others back."""

from collections.abc import Iterable
from typing import Any

import msgspec

from shared.events.codec import from_document
from shared.events.event import Event
from shared.telemetry.logs import get_logger

log = get_logger()


def first_readable(kept: Iterable[dict[str, Any]], of: str) -> tuple[Event, ...]:
    """Return the events of `of` up to the first that cannot be read, which is logged: those of one document keep their order."""
    events: list[Event] = []
    for document in kept:
        event = read(document, of)
        if event is None:
            break
        events.append(event)
    return tuple(events)


def read(document: dict[str, Any], of: str) -> Event | None:
    """Return the event; None, and a line in the log, when it cannot be read, which a newer release may have kept."""
    try:
        return from_document(document)
    except msgspec.ValidationError as error:
        about = {"of": of, "event_id": document.get("event_id"), "type": document.get("type"), "reason": str(error)[:200]}
        log.error("event.unreadable", **about)  # noqa: TRY400 - there is nothing in the stack
        return None
