"""How a transcript is kept: the text first, then the status that says it is there, under the newest claim only."""

from collections.abc import Mapping, Sequence

from services.transcriber.ports import Claims, TranscriptStore
from services.transcriber.redact import redacted
from shared.domain.clock import now
from shared.domain.job import JobStatus
from shared.domain.transcript import Transcript
from shared.domain.transcription import ProviderName, Transcription, TranscriptionStatus
from shared.events.event import Event
from shared.events.transcription import TranscriptionCompleted, transcription_event
from shared.telemetry.metrics import transcribed_seconds_total, transcription_cost_total
from shared.workers.lease_queue import LeaseLost


class StoreResult:
    """Stores transcripts, once each."""

    def __init__(self, transcripts: TranscriptStore, claims: Claims, hour_prices: Mapping[ProviderName, float]) -> None:
        self._transcripts, self._claims, self._hour_prices = transcripts, claims, hour_prices

    async def store(self, transcription: Transcription, transcript: Transcript) -> Transcription:
        """Complete the transcription with its text; raises `LeaseLost` when a newer claim holds it.

        What the transcript must not show is hidden first: it is written nowhere.
        """
        transcript = redacted(transcript, transcription.options.redact)
        if not await self._transcripts.put(transcription, transcript):
            raise LeaseLost(transcription.id)

        def completed(present: Transcription) -> tuple[Transcription, Sequence[Event]]:
            after = present.changed(
                status=TranscriptionStatus.COMPLETED,
                active=False,
                language=transcript.language,
                duration_ms=transcript.duration_ms,
                word_count=transcript.word_count,
                speaker_count=transcript.speaker_count,
                confidence=transcript.confidence,
                completed_at=now(),
                job=present.job.ended(JobStatus.COMPLETED),
            )
            return after, (transcription_event(TranscriptionCompleted, after),)

        done = await self._claims.finish(transcription, completed)
        self._count(done)
        return done

    def _count(self, done: Transcription) -> None:
        seconds = (done.duration_ms or 0) / 1000
        transcribed_seconds_total.labels(done.provider, done.project_id).inc(seconds)
        if price := self._hour_prices.get(done.provider):
            transcription_cost_total.labels(done.provider, done.project_id).inc(seconds / 3600 * price)
