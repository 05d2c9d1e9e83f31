"""One replica of a transcriber, made of its real parts within the test's own process; what it does with a job, the test says."""

import asyncio
import contextlib

from services.transcriber.consumer import handlers
from services.transcriber.job_rules import TranscriptionJobRules
from services.transcriber.store_result import StoreResult
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcript import Transcript
from shared.domain.transcription import TranscriptionRequest, queued_transcription
from shared.events.transcription import TranscriptionQueued, transcription_event
from shared.messaging.consumer import consume
from shared.messaging.policy import ConsumerPolicy
from shared.platform import Platform
from shared.storage.transcripts import Transcripts
from shared.workers.job_runner import JobRunner
from shared.workers.leases import Leases

DEADLINE_S = 30.0
SPOKEN = Transcript(text="hello", language="en", duration_ms=500, segments=(), confidence=0.9, word_count=1)


class Replica:
    """Reads, claims and stores as a transcriber does; `work` stands for its engine."""

    def __init__(self, name, mongo_settings, kafka, limits):
        self.platform = Platform(name, mongo_settings, kafka)
        self.transcriptions, self.recordings = self.platform.transcriptions, self.platform.recordings
        leases = Leases(self.transcriptions, self.platform.relay, TranscriptionJobRules())
        self.results = StoreResult(Transcripts(self.platform.mongo), leases, {})
        self.runner = JobRunner(leases, self.work, name="transcribe", worker=name, limits=limits)
        self.consumer = consume(self.platform.broker, "transcriber", handlers(None, self.runner.wake), ConsumerPolicy())

    async def work(self, claimed):
        """Do a job to its end."""
        raise NotImplementedError

    async def made(self, project_id=None):
        """A transcription of a new recording, of which nobody knows yet."""
        at = now()
        recording = Recording(
            id=new_id("rec"),
            project_id=project_id or new_id("proj"),
            mode=Mode.LIVE,
            status=RecordingStatus.UPLOADED,
            created_at=at,
            updated_at=at,
        )
        return queued_transcription(new_id("txn"), await self.recordings.add(recording), TranscriptionRequest())

    async def queue(self, transcription):
        """Let it wait to be done, and tell of it on the broker."""
        event = transcription_event(TranscriptionQueued, transcription)
        await self.transcriptions.start(transcription, event)
        self.platform.relay.nudge(self.transcriptions.name, transcription.id, [event])
        return transcription

    @contextlib.asynccontextmanager
    async def running(self):
        await self.platform.start()
        await self.consumer.start()
        claiming = asyncio.create_task(self.runner.run())
        try:
            yield self
        finally:
            await self.consumer.stop(grace_s=1)
            await self.runner.stop(0)
            claiming.cancel()
            await self.platform.stop()
