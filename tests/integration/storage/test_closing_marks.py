"""The marks of finalizes at work, and the manifest saved with a recording: one suite over MongoDB and over its fake."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transition import VersionConflict
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo
from shared.storage.recordings import Recordings
from tests.finalized import finalized

TENANT = Tenant("proj_1", Mode.LIVE)
MINUTE = timedelta(minutes=1)


async def added(recordings, **fields):
    at = now()
    defaults = {"mode": Mode.LIVE, "status": RecordingStatus.STREAMING, "streaming": True, "created_at": at, "updated_at": at}
    return await recordings.add(Recording(id=new_id("rec"), project_id="proj_1", **(defaults | fields)))


async def marked(recordings, recording, mark, until=None, sight=None):
    return await recordings.begin_closing(TENANT, recording.id, sight or {}, mark, until or now() + MINUTE)


async def test_a_mark_is_seen_by_those_who_store_chunks_and_makes_no_new_version(recordings):
    recording, until = await added(recordings), now() + MINUTE
    found = await marked(recordings, recording, "one", until)
    assert (found.version, found.closing_until, found.closing_by) == (1, until, ("one",))
    assert (await recordings.intake(TENANT, recording.id)).closing_until == until
    closed = found.changed(status=RecordingStatus.UPLOADED, closing_until=None, closing_by=())
    await recordings.save(found, closed)
    assert await recordings.get(TENANT, recording.id) == closed


@pytest.mark.parametrize(
    "fields",
    [
        {"status": RecordingStatus.UPLOADED},
        {"streaming": False},
        {"deleted_at": now()},
        {"mode": Mode.TEST},
        {"device_id": "other"},
    ],
)
async def test_what_cannot_be_closed_is_not_marked(recordings, fields):
    recording = await added(recordings, **({"device_id": "mine"} | fields))
    assert await marked(recordings, recording, "one", sight={"device_id": "mine"}) is None


async def test_whoever_has_lost_its_mark_saves_nothing(recordings):
    recording = await added(recordings)
    found = await marked(recordings, recording, "one")
    await recordings.end_closing(TENANT, recording.id, "one")
    assert await recordings.get(TENANT, recording.id) == recording
    with pytest.raises(VersionConflict):
        await recordings.save(found, found.changed(status=RecordingStatus.UPLOADED))


async def test_a_mark_that_ends_leaves_the_others_alone(recordings):
    recording, until = await added(recordings), now() + MINUTE
    await marked(recordings, recording, "one", until)
    both = await marked(recordings, recording, "two", until - timedelta(seconds=1))
    assert (both.closing_until, both.closing_by) == (until, ("one", "two"))
    await recordings.end_closing(TENANT, recording.id, "one")
    await recordings.end_closing(TENANT, recording.id, "one")
    left = await recordings.get(TENANT, recording.id)
    assert (left.closing_until, left.closing_by) == (until, ("two",))


async def test_after_the_marks_were_voided_nobody_who_set_one_can_save(recordings):
    recording, ended = await added(recordings), now() - MINUTE
    found = await marked(recordings, recording, "dead", ended)
    await recordings.void_closing(TENANT, recording.id, ended)
    present = await recordings.get(TENANT, recording.id)
    assert (present.closing_until, present.closing_by, present.version) == (None, (), 2)
    await marked(recordings, recording, "dead")
    with pytest.raises(VersionConflict):
        await recordings.save(found, found.changed(status=RecordingStatus.UPLOADED))


async def test_a_mark_that_was_set_since_is_not_voided(recordings):
    recording, ended = await added(recordings), now() - MINUTE
    await marked(recordings, recording, "dead", ended)
    alive = await marked(recordings, recording, "alive")
    await recordings.void_closing(TENANT, recording.id, ended)
    assert await recordings.get(TENANT, recording.id) == alive


async def test_a_change_of_something_else_keeps_the_marks(recordings):
    recording = await added(recordings)
    await marked(recordings, recording, "one")
    renamed = await recordings.save(recording, recording.changed(name="new"))
    found = await recordings.get(TENANT, recording.id)
    assert (found.name, found.version, found.closing_by) == ("new", renamed.version, ("one",))


async def test_a_finalize_that_a_crash_undid_is_not_taken_for_another_of_the_same_version(recordings):
    recording = await added(recordings)
    undone = finalized(recording, "job_stitcher_1")
    done = await recordings.save(recording, finalized(recording, "job_stitcher_2"))
    assert undone.version == done.version
    await recordings.confirm(done)
    with pytest.raises(VersionConflict):
        await recordings.confirm(undone)
    with pytest.raises(VersionConflict):
        await recordings.save(undone, undone.changed(name="new"))


async def test_a_change_that_a_crash_undid_is_not_taken_for_a_finalize_of_the_same_version(recordings):
    recording = await added(recordings)
    undone = recording.changed(name="new")
    done = await recordings.save(recording, finalized(recording, "job_stitcher_1"))
    assert undone.version == done.version
    with pytest.raises(VersionConflict):
        await recordings.confirm(undone)
    with pytest.raises(VersionConflict):
        await recordings.save(undone, undone.changed(name="newer"))


async def test_what_is_confirmed_is_as_it_was_seen(recordings):
    recording = await added(recordings)
    await recordings.confirm(recording)
    after = await recordings.save(recording, recording.changed(name="new"))
    await recordings.confirm(after)
    with pytest.raises(VersionConflict):
        await recordings.confirm(recording)
    assert await recordings.get(TENANT, recording.id) == after


async def test_a_manifest_is_saved_with_the_recording_and_read_by_itself(recordings):
    recording = await added(recordings)
    assert await recordings.manifest(TENANT, recording.id) is None
    content = b"names of uploads" * 1000
    after = await recordings.save(recording, recording.changed(status=RecordingStatus.UPLOADED), manifest=content)
    await recordings.save(after, after.changed(name="new"))
    assert await recordings.manifest(TENANT, recording.id) == content
    assert await recordings.manifest(Tenant("proj_2"), recording.id) is None
    with pytest.raises(VersionConflict):
        await recordings.save(after, after.changed(name="late"), manifest=b"other")
    assert await recordings.manifest(TENANT, recording.id) == content


class AllOfIt(msgspec.Struct):
    """A recording's document with what lies aside in it."""

    name: str
    manifest: bytes | None = None
    outbox: list[Any] | None = None


async def test_whoever_reads_a_recording_is_not_sent_its_manifest_and_its_outbox(mongo_settings):
    mongo = Mongo(mongo_settings)
    recordings = Recordings(mongo)
    recording = await added(recordings)
    await recordings.save(recording, recording.changed(name="new"), manifest=b"names")
    wanted = recordings._documents._wanted
    sent = await Documents(mongo.database["recordings"], AllOfIt, wanted).get(recording.id)
    assert sent == AllOfIt(name="new")
    assert set(wanted) == {"manifest", "outbox"}
    mongo.close()
