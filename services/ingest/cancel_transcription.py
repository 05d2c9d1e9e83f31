"""The verb of cancel: a transcription that waits or runs ends at once, and whoever works on it stops within seconds."""

from services.ingest.outbox import Outbox, decided_anew
from services.ingest.ports import RecordingStore, TranscriptionStore
from services.ingest.read_transcriptions import shown_with_its_recording
from services.ingest.refusals import TranscriptionEnded
from services.ingest.start_transcription import reflect
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.errors import FailureReason
from shared.domain.job import Failure, JobStatus
from shared.domain.transcription import Transcription, TranscriptionStatus
from shared.events.transcription import TranscriptionFailed, transcription_event

_CANCELLED = Failure(reason=FailureReason.CANCELLED, message="the transcription was cancelled")


class CancelTranscription:
    """Cancels transcriptions: they fail with the reason `cancelled`, and another may be started."""

    def __init__(self, recordings: RecordingStore, transcriptions: TranscriptionStore, outbox: Outbox) -> None:
        self._recordings, self._transcriptions, self._outbox = recordings, transcriptions, outbox

    async def __call__(self, caller: Caller, transcription_id: str) -> Transcription:
        """End it and tell so by `transcription.failed`; doing it again changes nothing.

        The one write takes the job from whoever holds it: its lease is not renewed, and its result is not taken any more.
        Raises `NotFound`, and `TranscriptionEnded` when it has ended by itself.
        """

        async def attempt() -> Transcription:
            present = await shown_with_its_recording(self._recordings, self._transcriptions, caller, transcription_id)
            if present.failure == _CANCELLED:
                return present
            if not present.active:
                raise TranscriptionEnded("the transcription has ended", details={"current_status": present.status})
            after = present.changed(
                status=TranscriptionStatus.FAILED,
                failure=_CANCELLED,
                active=False,
                completed_at=now(),
                job=present.job.ended(JobStatus.FAILED),
            )
            event = transcription_event(TranscriptionFailed, after)
            await self._outbox.save(self._transcriptions, present, after, event)
            await reflect(self._recordings, event)
            return after

        return await decided_anew(attempt)
