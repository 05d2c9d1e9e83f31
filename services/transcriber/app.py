"""Joins the transcriber's parts: the only place that builds its clients."""

import asyncio
import socket

from services.transcriber.consumer import handlers
from services.transcriber.decide import DecideTranscription
from services.transcriber.failover import FailOver
from services.transcriber.find_models import with_models
from services.transcriber.job_rules import TranscriptionJobRules
from services.transcriber.keyring import Keyring
from services.transcriber.providers.cloud.factory import clouds
from services.transcriber.providers.whisper import WhisperPool, WhisperProvider, whisper_pool
from services.transcriber.settings import TranscriberSettings
from services.transcriber.store_result import StoreResult
from services.transcriber.transcribe import TranscribeRecording
from services.transcriber.transcribe_remotely import RemoteRules, TranscribeRemotely
from shared.domain.provider_key import ON_THE_NETWORK
from shared.domain.transcription import Transcription
from shared.messaging.consumer import consume
from shared.platform import Platform, every
from shared.sealing import Sealing
from shared.spool import Spool
from shared.storage.effective_configs import EffectiveConfigs
from shared.storage.objects import ObjectStore
from shared.storage.provider_keys import ProviderKeys
from shared.storage.transcripts import Transcripts
from shared.telemetry.health import operations_app
from shared.telemetry.metrics import register_queue
from shared.workers.job_runner import JobLimits, JobRunner
from shared.workers.leases import Leases

_RECONCILE_S = 5.0


class Transcriber:
    """The transcriber as a service."""

    name = "transcriber"

    def __init__(self, settings: TranscriberSettings, pool: WhisperPool) -> None:
        self._grace_s = settings.runtime.shutdown_grace_s
        self._platform = platform = Platform(self.name, settings.mongo, settings.kafka)
        self._store = ObjectStore(settings.s3)
        self._pool, self._spool = pool, Spool(settings.runtime.work_dir, self.name)
        leases = Leases(platform.transcriptions, platform.relay, TranscriptionJobRules())
        configs = EffectiveConfigs(platform.mongo)
        results = StoreResult(Transcripts(platform.mongo), leases, settings.cloud.hour_prices())
        self._clouds = clouds(settings.cloud)
        transcribe = TranscribeRecording(
            recordings=platform.recordings,
            store=self._store,
            results=results,
            providers=(WhisperProvider(pool, time_limit_s=settings.speech.transcribe_time_limit_s),),
            spool=self._spool.folder,
        )
        limits = JobLimits(slots=settings.speech.transcribe_slots, lease_s=settings.speech.transcribe_lease_s)

        remotely = TranscribeRemotely(
            recordings=platform.recordings,
            store=self._store,
            results=results,
            claims=leases,
            queue=leases,
            failover=FailOver(configs, leases, leases),
            providers=self._clouds.providers,
            keys=Keyring(ProviderKeys(platform.mongo, Sealing(settings.sealing.sealing_keys)), settings.cloud.keys()),
            spool=self._spool.folder,
            rules=RemoteRules(time_limit_s=settings.cloud.providers_time_limit_s, fetch_s=settings.cloud.providers_fetch_audio_s),
        )

        async def work(transcription: Transcription) -> None:
            verb = remotely if transcription.provider in ON_THE_NETWORK else transcribe
            await verb(transcription)

        self._runner = JobRunner(leases, work, name="transcribe", worker=socket.gethostname(), limits=limits)
        self._decide = DecideTranscription(platform.recordings, platform.transcriptions, configs, platform.relay)
        self._consumer = consume(platform.broker, self.name, handlers(self._decide, self._runner.wake))
        register_queue("transcribe", platform.transcriptions.queue_state)
        self.failed = self._consumer.failed
        self.app = operations_app({**platform.checks, "objects": self._store.check, "workers": self._check_workers})

    async def start(self) -> None:
        """Load the model into every worker, connect, and begin to claim jobs."""
        await asyncio.to_thread(self._spool.open)
        await asyncio.gather(self._pool.start(), self._store.start(), self._platform.start())
        background = self._platform.background
        background.start("jobs", self._runner.run)
        await self._consumer.start()
        background.start("undecided", lambda: every(_RECONCILE_S, lambda: self._decide.left_behind(_RECONCILE_S)))

    async def stop(self) -> None:
        """Finish running jobs within the grace time or hand them back, then close."""
        await self._consumer.stop()
        await self._runner.stop(0.6 * self._grace_s)
        await self._pool.stop()
        await self._clouds.close()
        await self._platform.stop()
        await self._store.stop()
        await asyncio.to_thread(self._spool.close)

    async def _check_workers(self) -> None:
        if self._pool.warm == 0:
            raise RuntimeError("no worker process is warm")


async def build(settings: TranscriberSettings) -> Transcriber:
    """Find the models, fetching them on first use, and build the service."""
    whisper = await asyncio.to_thread(with_models, settings.speech)
    return Transcriber(settings, whisper_pool(whisper, size=settings.speech.transcribe_slots))
