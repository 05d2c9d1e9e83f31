"""docs/events.md is what `python -m deploy.docs.events` makes of the code."""

import re

from deploy.docs.events import DOCUMENT, document
from tests.unit.docs.markdown import ROOT


def test_the_events_document_is_up_to_date():
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run: python -m deploy.docs.events"


def test_the_events_document_says_whether_recordings_can_be_deleted():
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("services/**/*.py"))
    published = re.search(r"recording_event\(RecordingDeleted\b", code) is not None
    assert ("Nothing publishes `recording.deleted` yet." in document()) is not published
