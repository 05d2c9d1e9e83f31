"""From which position on a stream finds what its client has not heard, whatever a crash of MongoDB took away meanwhile."""

from datetime import timedelta

import pytest

from shared.domain.clock import now
from shared.events.recording import RecordingDeleted, recording_event, recording_uploaded
from shared.storage.events import Events
from tests.fakes.webhook_facts import TENANT, a_recording


@pytest.fixture
async def events(mongo):
    events = Events(mongo)
    await events.ensure_indexes()
    return events


async def rest_after(events, told):
    """Return the ids of what a stream reads that resumes at an event."""
    position = await events.position_after(TENANT, told.recording_id, told.event_id)
    return [kept.event.event_id for kept in await events.kept_since(TENANT, told.recording_id, position, 50)]


async def test_what_came_while_an_event_was_lost_is_found_by_who_resumes_at_it(events, mongo):
    recording = a_recording(updated_at=now() - timedelta(seconds=6))
    told, between = recording_uploaded(recording, 1), recording_event(RecordingDeleted, recording.changed())
    await events.show([told])  # and a stream tells of it
    await mongo.database["events"].delete_one({"_id": told.event_id})  # as a crash does before it is on the journal
    await events.show([between])  # at once after the restart
    await events.show([told])  # by a sweep of its outbox, which takes what is older than 4 s
    assert await rest_after(events, told) == [between.event_id, told.event_id]


async def test_who_resumes_at_an_event_that_was_kept_at_once_finds_just_the_rest(events):
    recording = a_recording()
    facts = [recording_uploaded(recording, 1), recording_event(RecordingDeleted, recording.changed())]
    for fact in facts:
        await events.show([fact])
    assert [await rest_after(events, fact) for fact in facts] == [[facts[1].event_id], []]
