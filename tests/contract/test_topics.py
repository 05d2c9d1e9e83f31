"""The table of topics says what the code does: which services make an event, and which hear it."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.stitcher import consumer as stitcher
from services.transcriber import consumer as transcriber
from services.webhooks import consumer as webhooks
from shared.events.topics import TOPICS, topics_read_by

SERVICES = Path(__file__).parents[2] / "services"
MAKERS = {"recording_uploaded": "recording.uploaded", "upload_claimed": "upload.claimed"}
GENERAL = {"recording_event", "transcription_event"}
BY_CLASS = {topic.event.__name__: topic.name for topic in TOPICS.values()}
HANDLERS = {
    "stitcher": stitcher.handlers(lambda: None, lambda: None),
    "transcriber": transcriber.handlers(None, lambda: None),
    "webhooks": webhooks.handlers(SimpleNamespace(draft=None)),
}


def made_in(service):
    """The types of the events that a service's code makes; examples of events are none."""
    for path in (path for path in (SERVICES / service).rglob("*.py") if path.name != "examples.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in GENERAL:
                    yield BY_CLASS[node.args[0].id]
                elif node.func.id in MAKERS:
                    yield MAKERS[node.func.id]


@pytest.mark.parametrize("service", ["ingest", "stitcher", "transcriber", "webhooks"])
def test_a_service_makes_the_events_that_the_table_says_it_does(service):
    assert set(made_in(service)) == {topic.name for topic in TOPICS.values() if service in topic.producers}


@pytest.mark.parametrize("group", HANDLERS)
def test_a_consumer_group_handles_the_topics_that_the_table_says_it_reads(group):
    assert {TOPICS[name].event for name in topics_read_by(group)} == set(HANDLERS[group])


def test_every_event_is_heard_by_somebody():
    assert [topic.name for topic in TOPICS.values() if not topic.consumers] == []
