"""What claiming and failing a verify or stitch job mean to its recording."""

from collections.abc import Sequence

from shared.domain.errors import FailureReason
from shared.domain.job import Failure, Job, JobStatus
from shared.domain.recording import Recording, RecordingStatus
from shared.events.event import Event
from shared.events.recording import RecordingFailed, recording_event

_BROKEN_PROMISES = frozenset({FailureReason.CHECKSUM_MISMATCH, FailureReason.CONTENT_HASH_MISMATCH})


class RecordingJobRules:
    """A claim moves no status; a failure ends the recording, with its reason and `recording.failed`."""

    def claimed(self, recording: Recording, job: Job) -> tuple[Recording, Sequence[Event]]:
        """Show the job as running."""
        return recording.changed(job=job), ()

    def failed(self, recording: Recording, failure: Failure) -> tuple[Recording, Sequence[Event]]:
        """Fail the recording; a hash that is not what the client said is an `integrity_failure`."""
        broken = failure.reason in _BROKEN_PROMISES
        status = RecordingStatus.INTEGRITY_FAILURE if broken else RecordingStatus.FAILED
        job = recording.job and recording.job.ended(JobStatus.FAILED)
        after = recording.changed(status=status, failure=failure, job=job)
        return after, (recording_event(RecordingFailed, after),)
