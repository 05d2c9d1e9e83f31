"""Joins the stitcher's parts: the only place that builds its clients."""

import asyncio
import socket

from services.stitcher.audio_worker import AudioProcesses, Outcome, Task, initialize
from services.stitcher.consumer import handlers
from services.stitcher.erase import EraseRecordings, Remains
from services.stitcher.job_rules import RecordingJobRules
from services.stitcher.settings import StitcherSettings
from services.stitcher.stitch import StitchRecording
from services.stitcher.sweep_chunks import SweepChunks
from services.stitcher.verify import VerifyUpload
from shared.domain.job import JobKind
from shared.domain.recording import Recording
from shared.messaging.consumer import consume
from shared.platform import Platform, every
from shared.spool import Spool
from shared.storage.objects import ObjectStore
from shared.storage.transcripts import Transcripts
from shared.storage.webhook_deliveries import WebhookDeliveries
from shared.telemetry.health import operations_app
from shared.telemetry.metrics import register_queue
from shared.workers.job_runner import JobLimits, JobRunner
from shared.workers.leases import Leases
from shared.workers.process_pool import ProcessPool

_SWEEP_S = 30.0


class Stitcher:
    """The stitcher as a service."""

    name = "stitcher"

    def __init__(self, settings: StitcherSettings) -> None:
        self._grace_s = settings.runtime.shutdown_grace_s
        self._platform = Platform(self.name, settings.mongo, settings.kafka)
        self._store = ObjectStore(settings.s3)
        self._spool = Spool(settings.runtime.work_dir, self.name)
        limits = JobLimits(slots=settings.stitch.stitch_slots, lease_s=settings.stitch.stitch_lease_s)
        self._pool: ProcessPool[Task, Outcome] = ProcessPool(initialize, size=limits.slots)
        worker = AudioProcesses(self._pool, settings.stitch.stitch_time_limit_s)
        recordings = self._platform.recordings
        leases = Leases(recordings, self._platform.relay, RecordingJobRules())
        self._stitch = StitchRecording(self._store, recordings, worker, leases, self._spool.folder)
        self._verify = VerifyUpload(self._store, worker, leases, self._spool.folder)
        self._sweep = SweepChunks(self._store, recordings)
        host = socket.gethostname()
        self._runner = JobRunner(leases, self._work, name="stitch", worker=host, limits=limits, afterwards=self._tidy)
        self._join_eraser()
        self._consumer = consume(self._platform.broker, self.name, handlers(self._runner.wake, self._erase.wake))
        register_queue("stitch", recordings.queue_state)
        self.failed = self._consumer.failed
        self.app = operations_app({**self._platform.checks, "objects": self._store.check, "workers": self._pool.check})

    def _join_eraser(self) -> None:
        platform = self._platform
        self._transcripts = Transcripts(platform.mongo)
        remains = Remains(
            objects=self._store,
            recordings=platform.recordings,
            transcriptions=platform.transcriptions,
            texts=(self._transcripts, platform.events, WebhookDeliveries(platform.mongo)),
        )
        self._erase = EraseRecordings(remains)
        register_queue("recording_erasures", platform.recordings.erasures_due)

    async def start(self) -> None:
        """Warm the workers, connect, and begin to claim jobs."""
        await asyncio.to_thread(self._spool.open)
        platform = self._platform.start(self._transcripts.ensure_indexes)
        await asyncio.gather(self._pool.start(), self._store.start(), platform)
        background = self._platform.background
        background.start("jobs", self._runner.run)
        await self._consumer.start()
        background.start("erasure", self._erase.run)
        background.start("chunk-sweep", lambda: every(_SWEEP_S, lambda: self._sweep.due(_SWEEP_S)))

    async def stop(self) -> None:
        """Finish running jobs within the grace time or hand them back, then close."""
        await self._consumer.stop()
        await self._runner.stop(0.6 * self._grace_s)
        await self._pool.stop()
        await self._platform.stop()
        await self._store.stop()
        await asyncio.to_thread(self._spool.close)

    async def _work(self, recording: Recording) -> Recording | None:
        if recording.job is not None and recording.job.kind is JobKind.VERIFY:
            await self._verify(recording)
            self._runner.wake()
            return None
        return await self._stitch(recording)

    async def _tidy(self, stitched: Recording | None) -> None:
        if stitched is not None and stitched.sweep_at is not None:
            await self._sweep(stitched)


def build(settings: StitcherSettings) -> Stitcher:
    """Build the service."""
    return Stitcher(settings)
