"""Facts about transcriptions, shown on their recordings many at once: one suite over MongoDB and over its fake."""

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.errors import FailureReason
from shared.domain.ids import new_id
from shared.domain.job import Failure
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcription import TranscriptionRequest, TranscriptionStatus, queued_transcription
from shared.domain.transition import VersionConflict
from shared.events.transcription import TranscriptionCompleted, TranscriptionFailed, TranscriptionStarted, transcription_event
from shared.storage.mongo import Mongo
from shared.storage.recordings import Recordings
from tests.fakes.ingest import FakeRecordings

TENANT = Tenant("proj_1", Mode.LIVE)


async def added(recordings, status=RecordingStatus.UPLOADED, project=TENANT.project_id):
    at = now()
    return await recordings.add(
        Recording(id=new_id("rec"), project_id=project, mode=TENANT.mode, status=status, created_at=at, updated_at=at)
    )


def facts(recording, failure=None):
    """The start and the end of a transcription of the recording."""
    started = queued_transcription(new_id("txn"), recording, TranscriptionRequest()).changed(
        status=TranscriptionStatus.PROCESSING
    )
    status, kind = TranscriptionStatus.COMPLETED, TranscriptionCompleted
    if failure is not None:
        status, kind = TranscriptionStatus.FAILED, TranscriptionFailed
    ended = started.changed(status=status, failure=failure)
    return [transcription_event(TranscriptionStarted, started), transcription_event(kind, ended)]


async def statuses(recordings, *those):
    return [(await recordings.get(one.tenant, one.id)).status for one in those]


async def test_facts_of_many_recordings_are_shown_in_order_and_a_replay_changes_nothing(recordings):
    first, second, third = [await added(recordings) for _ in range(3)]
    broken = Failure(reason=FailureReason.PROCESSING_ERROR, message="broken")
    (begun, done), failed, (running, _) = facts(first), facts(second, broken), facts(third)
    told = [begun, failed[0], done, running, failed[1]]
    assert await recordings.reflect_all(told) == {}
    expected = [RecordingStatus.COMPLETED, RecordingStatus.FAILED, RecordingStatus.PROCESSING]
    assert await statuses(recordings, first, second, third) == expected
    shown = [await recordings.get(TENANT, one.id) for one in (first, second, third)]
    assert [one.transcription_version for one in shown] == [3, 3, 2]
    assert shown[1].failure == broken
    for replay in (told, told[:2], told[::-1]):
        assert await recordings.reflect_all(replay) == {}
    assert [await recordings.get(TENANT, one.id) for one in (first, second, third)] == shown


@pytest.mark.parametrize("status", [RecordingStatus.UPLOADED, RecordingStatus.COMPLETED])
@pytest.mark.parametrize(
    ("failure", "expected"),
    [(None, RecordingStatus.COMPLETED), (Failure(reason=FailureReason.AUDIO_CORRUPT, message="no"), RecordingStatus.FAILED)],
)
async def test_an_end_that_is_told_before_the_start_is_the_end(recordings, status, failure, expected):
    recording = await added(recordings, status)
    started, ended = facts(recording, failure)
    assert await recordings.reflect_all([ended]) == {}
    assert await statuses(recordings, recording) == [expected]
    shown = await recordings.get(TENANT, recording.id)
    assert await recordings.reflect_all([started]) == {}
    assert await recordings.get(TENANT, recording.id) == shown


async def test_a_refused_fact_is_named_and_holds_no_other_back(recordings):
    gone, fine = await added(recordings, RecordingStatus.FAILED), await added(recordings)
    refused, accepted = facts(gone)[0], facts(fine)[0]
    refusals = await recordings.reflect_all([refused, accepted])
    assert {event_id: refusal.aggregate_id for event_id, refusal in refusals.items()} == {refused.event_id: gone.id}
    assert await statuses(recordings, gone, fine) == [RecordingStatus.FAILED, RecordingStatus.PROCESSING]


async def test_a_fact_about_nothing_or_of_another_tenant_changes_nothing(recordings):
    theirs, stray = await added(recordings, project="proj_2"), await added(FakeRecordings())
    forged = msgspec.structs.replace(facts(theirs)[0], project_id=TENANT.project_id)
    assert await recordings.reflect_all([forged, *facts(stray)]) == {}
    assert await recordings.get(theirs.tenant, theirs.id) == theirs


class Renamed(Recordings):
    """Recordings one of which is renamed between the first read and the write after it."""

    rename = None

    async def save_all(self, changes):
        if self.rename is not None:
            before, self.rename = self.rename, None
            await self.save(before, before.changed(name="renamed"))
        return await super().save_all(changes)


async def test_a_recording_that_changed_meanwhile_is_read_again_and_the_others_are_written_once(mongo_settings):
    mongo = Mongo(mongo_settings)
    recordings = Renamed(mongo)
    one, other = await added(recordings), await added(recordings)
    recordings.rename = one
    assert await recordings.reflect_all([facts(one)[0], facts(other)[0]]) == {}
    shown = [await recordings.get(TENANT, recording.id) for recording in (one, other)]
    assert [recording.status for recording in shown] == [RecordingStatus.PROCESSING] * 2
    assert [(recording.name, recording.version) for recording in shown] == [("renamed", 3), (None, 2)]
    mongo.close()


class Unsteady(Recordings):
    """Recordings that always changed meanwhile."""

    async def save_all(self, changes):
        return False


async def test_a_recording_that_never_stands_still_is_a_conflict(mongo_settings):
    mongo = Mongo(mongo_settings)
    recordings = Unsteady(mongo)
    with pytest.raises(VersionConflict):
        await recordings.reflect_all(facts(await added(recordings)))
    mongo.close()
