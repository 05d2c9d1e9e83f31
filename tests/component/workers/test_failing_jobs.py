"""A job that cannot be done ends for good, whatever its recording has become since it was queued."""

import pytest

from services.stitcher.job_rules import RecordingJobRules
from shared.domain.clock import now
from shared.domain.errors import FailureReason
from shared.domain.ids import new_id
from shared.domain.job import Failure, Job, JobKind, JobStatus
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.workers.leases import Leases
from tests.fakes.aggregates import FakeAggregates


class Told(list):
    def nudge(self, outbox, aggregate_id, events):
        self.extend(event.type for event in events)


@pytest.mark.parametrize(
    ("kind", "before", "reason", "after", "told"),
    [
        (JobKind.STITCH, RecordingStatus.COMPLETED, FailureReason.AUDIO_CORRUPT, RecordingStatus.COMPLETED, []),
        (JobKind.STITCH, RecordingStatus.COMPLETED, FailureReason.CONTENT_HASH_MISMATCH, RecordingStatus.COMPLETED, []),
        (JobKind.STITCH, RecordingStatus.PROCESSING, FailureReason.CONTENT_HASH_MISMATCH, RecordingStatus.PROCESSING, []),
        (JobKind.STITCH, RecordingStatus.PROCESSING, FailureReason.AUDIO_CORRUPT, RecordingStatus.FAILED, ["recording.failed"]),
        (
            JobKind.VERIFY,
            RecordingStatus.INTEGRITY_FAILURE,
            FailureReason.OBJECT_MISSING,
            RecordingStatus.INTEGRITY_FAILURE,
            ["recording.failed"],
        ),
    ],
)
async def test_a_job_that_cannot_be_done_ends_whatever_its_recording_has_become(kind, before, reason, after, told):
    store, heard, at = FakeAggregates(), Told(), now()
    job = Job(id=new_id("job"), kind=kind, queued_at=at, available_at=at)
    owner = {"id": new_id("rec"), "project_id": "p", "mode": Mode.LIVE}
    recording = await store.add(Recording(**owner, status=before, job=job, created_at=at, updated_at=at))
    leases = Leases(store, heard, RecordingJobRules())
    claimed = await leases.claim("worker", 60)
    await leases.fail(claimed, Failure(reason=reason, message="it cannot be done"))
    ended = store.documents[recording.id]
    assert (ended.status, ended.job.status, ended.job.available_at) == (after, JobStatus.FAILED, None)
    assert (heard, ended.failure is not None) == (told, bool(told))
    assert await leases.claim("worker", 60) is None
