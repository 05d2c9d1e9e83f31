"""What is sent to customers is what the description of the API says of each event."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from shared.domain.transcript import Segment, Word, transcript_of
from shared.events.codec import decode
from shared.events.payload import body_of
from shared.events.topics import PUBLIC_EVENT_TYPES
from tests.conformance import document

GOLDEN = Path(__file__).parent / "golden"


def described(event_type):
    (media,) = document()["webhooks"][event_type]["post"]["requestBody"]["content"].values()
    return jsonschema_rs.Draft202012Validator({"allOf": [media["schema"]], "components": document()["components"]})


def transcript(words):
    word = Word(word="hi", start=0.0, end=1.0, confidence=0.5)
    said = Segment(start=0.0, end=1.0, text="hi " * words, confidence=0.5, words=(word,))
    return transcript_of([said], language="en", duration_ms=1000)


@pytest.mark.parametrize("event_type", PUBLIC_EVENT_TYPES)
@pytest.mark.parametrize("words", [1, 200_000])
def test_the_body_of_every_event_is_as_described(event_type, words):
    for golden in sorted(GOLDEN.glob(f"{event_type}.v*.json")):
        body = json.loads(body_of(decode(golden.read_bytes()), transcript(words)))
        assert [fault.message for fault in described(event_type).iter_errors(body)] == []
