"""What claiming and failing a job mean to its transcription."""

from collections.abc import Sequence

from shared.domain.clock import now
from shared.domain.job import Failure, Job, JobStatus
from shared.domain.transcription import Transcription, TranscriptionStatus
from shared.events.event import Event
from shared.events.transcription import TranscriptionFailed, TranscriptionStarted, transcription_event


class TranscriptionJobRules:
    """The first claim starts the transcription and says so; a later one, of a job taken over, re-enters it silently."""

    def claimed(self, transcription: Transcription, job: Job) -> tuple[Transcription, Sequence[Event]]:
        """Move to `processing`; `transcription.started` fires once."""
        if transcription.status is TranscriptionStatus.PROCESSING:
            progress = transcription.progress if transcription.remote is not None else None  # an order goes on, work begins anew
            return transcription.changed(job=job, progress=progress), ()
        after = transcription.changed(status=TranscriptionStatus.PROCESSING, started_at=now(), job=job)
        return after, (transcription_event(TranscriptionStarted, after),)

    def failed(self, transcription: Transcription, failure: Failure) -> tuple[Transcription, Sequence[Event]]:
        """Fail with the reason, and make room for another transcription of the recording."""
        after = transcription.changed(
            status=TranscriptionStatus.FAILED,
            failure=failure,
            active=False,
            completed_at=now(),
            job=transcription.job.ended(JobStatus.FAILED),
        )
        return after, (transcription_event(TranscriptionFailed, after),)
