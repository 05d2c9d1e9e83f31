"""What claiming and failing a verify or stitch job mean to its recording."""

from collections.abc import Sequence

from shared.domain.errors import FailureReason
from shared.domain.job import Failure, Job, JobStatus
from shared.domain.recording import FOLLOWS, Recording, RecordingStatus
from shared.events.event import Event
from shared.events.recording import RecordingFailed, recording_event

_BROKEN_PROMISES = frozenset({FailureReason.CHECKSUM_MISMATCH, FailureReason.CONTENT_HASH_MISMATCH})


class RecordingJobRules:
    """A claim moves no status; a failure ends the recording, with its reason and `recording.failed`, if it can still fail."""

    def claimed(self, recording: Recording, job: Job) -> tuple[Recording, Sequence[Event]]:
        """Show the job as running."""
        return recording.changed(job=job), ()

    def failed(self, recording: Recording, failure: Failure) -> tuple[Recording, Sequence[Event]]:
        """Fail the recording; a hash that is not what the client said is an `integrity_failure`.

        One that is broken already stays so, for the newer reason. One that was transcribed meanwhile keeps its status: only its
        job has failed.
        """
        broken = failure.reason in _BROKEN_PROMISES or recording.status is RecordingStatus.INTEGRITY_FAILURE
        status = RecordingStatus.INTEGRITY_FAILURE if broken else RecordingStatus.FAILED
        job = recording.job and recording.job.ended(JobStatus.FAILED)
        if status is not recording.status and status not in FOLLOWS[recording.status]:
            return recording.changed(job=job), ()
        after = recording.changed(status=status, failure=failure, job=job)
        return after, (recording_event(RecordingFailed, after),)
