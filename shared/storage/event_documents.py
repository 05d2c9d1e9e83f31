"""Events as MongoDB holds them: in their outbox and then in `events`, so each is encoded once and copied the second time."""

from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from shared.events.codec import to_document
from shared.events.event import Event

_FORM = "stored_form"


def stored_form(event: Event) -> RawBSONDocument:
    """Return the event as a document within another; the same object each time."""
    notes: dict[str, Any] = event.__dict__
    form: RawBSONDocument | None = notes.get(_FORM)
    if form is None:
        form = notes[_FORM] = RawBSONDocument(bson.encode(to_document(event)))
    return form
