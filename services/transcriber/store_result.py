"""How a transcript is kept: the text first, then the status that says it is there, under the newest claim only."""

from collections.abc import Sequence

from services.transcriber.ports import Claims, TranscriptStore
from shared.domain.clock import now
from shared.domain.job import JobStatus
from shared.domain.transcript import Transcript
from shared.domain.transcription import Transcription, TranscriptionStatus
from shared.events.event import Event
from shared.events.transcription import TranscriptionCompleted, transcription_event
from shared.workers.lease_queue import LeaseLost


class StoreResult:
    """Stores transcripts, once each."""

    def __init__(self, transcripts: TranscriptStore, claims: Claims) -> None:
        self._transcripts, self._claims = transcripts, claims

    async def store(self, transcription: Transcription, transcript: Transcript) -> Transcription:
        """Complete the transcription with its text; raises `LeaseLost` when a newer claim holds it."""
        if not await self._transcripts.put(transcription, transcript):
            raise LeaseLost(transcription.id)

        def completed(present: Transcription) -> tuple[Transcription, Sequence[Event]]:
            after = present.changed(
                status=TranscriptionStatus.COMPLETED,
                active=False,
                language=transcript.language,
                duration_ms=transcript.duration_ms,
                word_count=transcript.word_count,
                confidence=transcript.confidence,
                completed_at=now(),
                job=present.job.ended(JobStatus.COMPLETED),
            )
            return after, (transcription_event(TranscriptionCompleted, after),)

        return await self._claims.finish(transcription, completed)
