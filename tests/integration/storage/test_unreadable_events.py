"""An event in a form that this release does not know keeps no other back, and is not lost."""

from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.events.codec import to_document
from shared.events.recording import RecordingCreated, recording_event, recording_uploaded
from shared.storage.events import Events
from shared.storage.recordings import Recordings
from shared.telemetry.logs import captured_lines

TENANT = Tenant("proj_1", Mode.LIVE)


def later():
    return now() + timedelta(seconds=1)


def of_a_newer_release(event):
    return to_document(event) | {"type": "recording.dreamt_of", "event_id": new_id("evt")}


async def stored(mongo, count):
    """Store so many recordings in an empty collection, each with one event in its outbox."""
    recordings, at = Recordings(mongo), now()
    await recordings.ensure_indexes()
    about = {"project_id": "proj_1", "mode": Mode.LIVE, "status": RecordingStatus.PENDING, "created_at": at, "updated_at": at}
    made = [Recording(id=new_id("rec"), **about) for _ in range(count)]
    for recording in made:
        await recordings.add(recording, recording_event(RecordingCreated, recording))
    return recordings, made


@pytest.fixture
async def made(mongo):
    """Return two of them."""
    return await stored(mongo, 2)


async def waiting(recordings):
    found = await recordings.unpublished(later(), 10)
    return {outbox.aggregate_id: [event.type for event in outbox.events] for outbox in found}


async def test_of_an_outbox_leaves_what_was_put_in_before_it(mongo, made):
    recordings, (first, second) = made
    uploaded = recording_uploaded(first.changed(), 1)
    pushed = {"$each": [of_a_newer_release(uploaded), to_document(uploaded)]}
    await mongo.database["recordings"].update_one({"_id": first.id}, {"$push": {"outbox": pushed}})
    with captured_lines() as lines:
        assert await waiting(recordings) == {first.id: ["recording.created"], second.id: ["recording.created"]}
    assert [(line["event"], line["of"], line["type"]) for line in lines] == [
        ("event.unreadable", "recordings", "recording.dreamt_of")
    ]


async def test_an_outbox_that_begins_with_it_waits_and_the_others_do_not(mongo, made):
    recordings, (first, second) = made
    event = of_a_newer_release(recording_event(RecordingCreated, first))
    await mongo.database["recordings"].update_one({"_id": first.id}, {"$set": {"outbox": [event]}})
    assert await waiting(recordings) == {second.id: ["recording.created"]}
    kept = await mongo.database["recordings"].find_one({"_id": first.id})
    assert [one["event_id"] for one in kept["outbox"]] == [event["event_id"]]


@pytest.fixture(params=[{"event.type": "recording.dreamt_of"}, {"event.occurred_at": "some day"}])
def spoilt(request):
    """Return what makes an event one that cannot be read: a type of a newer release, or a hand that changed it."""
    return {"$set": request.param}


async def test_however_many_there_are_they_keep_no_other_from_being_fanned_out(mongo, made, spoilt):
    events, collection, about = Events(mongo), mongo.database["events"], made[1][0]
    facts = [recording_event(RecordingCreated, msgspec.structs.replace(about, id=new_id("rec"))) for _ in range(7)]
    facts.sort(key=lambda fact: fact.event_id)
    await events.keep(facts)
    await collection.update_many({"_id": {"$in": [fact.event_id for fact in facts[:6]]}}, spoilt)
    assert await events.not_fanned_out(later(), 3) == facts[6:]
    assert await collection.count_documents({"to_fan_out": True}) == len(facts)


async def test_among_the_events_to_be_fanned_out_it_is_passed_over_and_stays(mongo, made, spoilt):
    events, collection = Events(mongo), mongo.database["events"]
    facts = [recording_event(RecordingCreated, recording) for recording in made[1]]
    await events.keep(facts)
    await collection.update_one({"_id": facts[0].event_id}, spoilt)
    assert await events.not_fanned_out(later(), 10) == facts[1:]
    assert (await collection.find_one({"_id": facts[0].event_id}))["to_fan_out"]


async def test_one_that_is_to_be_fanned_out_is_named_once_and_then_left_alone_for_a_while(mongo, made):
    events, collection = Events(mongo), mongo.database["events"]
    facts = [recording_event(RecordingCreated, recording) for recording in made[1]]
    await events.keep(facts)
    await collection.update_one({"_id": facts[0].event_id}, {"$set": {"event.occurred_at": "some day"}})
    with captured_lines() as lines:
        for _ in range(3):
            assert await events.not_fanned_out(later(), 10) == facts[1:]
    assert [(line["event"], line["event_id"]) for line in lines] == [("event.unreadable", facts[0].event_id)]


async def test_a_row_of_them_that_is_none_keeps_no_other_from_being_fanned_out(mongo, made):
    events, collection = Events(mongo), mongo.database["events"]
    facts = [recording_event(RecordingCreated, recording) for recording in made[1]]
    await events.keep(facts)
    await collection.update_one({"_id": facts[0].event_id}, {"$set": {"recording_id": 7}})
    with captured_lines() as lines:
        for _ in range(2):
            assert await events.not_fanned_out(later(), 10) == facts[1:]
    assert [(line["event"], line["of"], line["id"]) for line in lines] == [("document.unreadable", "events", facts[0].event_id)]


async def test_however_many_there_are_of_a_newer_release_they_leave_room_for_the_others(mongo, made):
    events, collection = Events(mongo), mongo.database["events"]
    recordings, (first, second) = made
    facts = [recording_event(RecordingCreated, recording) for recording in (first, second)]
    await events.keep(facts)
    await collection.update_one({"_id": facts[0].event_id}, {"$set": {"event.type": "recording.dreamt_of"}})
    newer = of_a_newer_release(facts[0])
    await mongo.database["recordings"].update_one({"_id": first.id}, {"$set": {"outbox": [newer]}})
    assert await events.not_fanned_out(later(), 1) == facts[1:]
    assert [outbox.aggregate_id for outbox in await recordings.unpublished(later(), 1)] == [second.id]


async def test_a_stream_of_a_recording_passes_over_it(mongo, made, spoilt):
    events, collection = Events(mongo), mongo.database["events"]
    recording = made[1][0]
    facts = [recording_event(RecordingCreated, recording), recording_uploaded(recording.changed(), 1)]
    for fact in facts:
        await events.keep([fact])
    await collection.update_one({"_id": facts[0].event_id}, spoilt)
    assert [kept.event for kept in await events.kept_since(TENANT, recording.id, 0, 10)] == facts[1:]
    assert await events.position_after(TENANT, recording.id, facts[0].event_id) == 0
    assert await events.position_after(TENANT, recording.id, facts[1].event_id) > 0


@pytest.mark.parametrize("spoiling", [{"event.occurred_at": "some day"}, {"to_fan_out": "perhaps"}])
async def test_a_stream_reads_on_behind_however_many_there_are(mongo, made, spoiling):
    events, collection, recording = Events(mongo), mongo.database["events"], made[1][0]
    facts = []
    for _ in range(9):
        recording = recording.changed()
        facts.append(recording_uploaded(recording, 1))
        await events.keep(facts[-1:])
    spoilt = [fact.event_id for fact in (*facts[:6], facts[7])]
    await collection.update_many({"_id": {"$in": spoilt}}, {"$set": spoiling})
    with captured_lines() as lines:
        for _ in range(2):  # a page that is not full would be the last
            assert [kept.event for kept in await events.kept_since(TENANT, recording.id, 0, 2)] == [facts[6], facts[8]]
    assert len(lines) == len(spoilt)
    assert [await events.position_after(TENANT, recording.id, event_id) for event_id in spoilt] == [0] * len(spoilt)


async def test_however_many_outboxes_begin_with_it_they_keep_no_other_from_being_published(mongo):
    recordings, made = await stored(mongo, 7)
    spoilt = {"$set": {"outbox.0.mode": "shadow"}}
    await mongo.database["recordings"].update_many({"_id": {"$in": [one.id for one in made[:6]]}}, spoilt)
    assert [outbox.aggregate_id for outbox in await recordings.unpublished(later(), 3)] == [made[6].id]


async def test_an_outbox_that_begins_with_it_is_named_once_and_then_left_alone_for_a_while(mongo, made):
    recordings, (first, second) = made
    await mongo.database["recordings"].update_one({"_id": first.id}, {"$set": {"outbox.0.event_id": 1}})
    with captured_lines() as lines:
        for _ in range(3):
            assert await waiting(recordings) == {second.id: ["recording.created"]}
    assert [(line["event"], line["event_id"]) for line in lines] == [("event.unreadable", 1)]
