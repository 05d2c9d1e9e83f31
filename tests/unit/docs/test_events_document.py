"""docs/events.md is what `python -m deploy.docs.events` makes of the code."""

from deploy.docs.events import DOCUMENT, document


def test_the_events_document_is_up_to_date():
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run: python -m deploy.docs.events"
