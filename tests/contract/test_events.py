"""Every event ever published can still be read, and today's are what their goldens say, in both directions, strictly."""

import json
from pathlib import Path

import msgspec
import pytest

from shared.events.codec import decode, encode, from_document, to_document
from shared.events.event import Event
from shared.events.topics import PUBLIC_EVENT_TYPES, TOPICS, topics_read_by

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.json"))


def test_every_topic_has_a_golden():
    assert {path.name.split(".v")[0] for path in FILES} == set(TOPICS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_is_read_as_its_type_and_written_back_without_loss(path: Path):
    event = decode(path.read_bytes())
    assert type(event) is TOPICS[path.name.split(".v")[0]].event
    written = json.loads(encode(event))
    golden = json.loads(path.read_bytes())
    assert {key: written[key] for key in golden} == golden


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_event_survives_the_outbox(path: Path):
    event = decode(path.read_bytes())
    assert from_document(to_document(event)) == event


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_missing_required_field_is_refused(path: Path):
    golden = json.loads(path.read_bytes())
    for name in ("event_id", "project_id", "recording_id", "occurred_at", "version"):
        with pytest.raises(msgspec.ValidationError, match=name):
            decode(json.dumps({key: value for key, value in golden.items() if key != name}).encode())


@pytest.mark.parametrize("message", [b"", b"null", b"[]", b'{"type":"recording.sung"}', b"\xff\xfe", b"{}"])
def test_what_is_no_event_of_ours_is_refused(message: bytes):
    with pytest.raises(msgspec.DecodeError):
        decode(message)


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_an_event_is_frozen_and_says_which_schema_it_follows(topic):
    assert issubclass(topic.event, Event)
    assert topic.event.__struct_config__.frozen
    assert "schema" in topic.event.__struct_fields__


def test_no_event_carries_text_of_a_transcript_or_audio():
    for path in FILES:
        for forbidden in ('"text"', '"full_text"', '"segments"', '"words"', '"object_key"', '"secret"'):
            assert forbidden not in path.read_text()


def test_the_upload_claim_stays_inside():
    assert "upload.claimed" not in PUBLIC_EVENT_TYPES
    assert len(PUBLIC_EVENT_TYPES) == len(TOPICS) - 1


def test_webhooks_reads_every_public_topic():
    assert set(topics_read_by("webhooks")) == set(PUBLIC_EVENT_TYPES)
