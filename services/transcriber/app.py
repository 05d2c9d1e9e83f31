"""Joins the transcriber's parts: the only place that builds its clients."""

import asyncio
import socket
from functools import partial

from services.transcriber.concurrency import ProjectLimits
from services.transcriber.consumer import handlers
from services.transcriber.decide import DecideTranscription
from services.transcriber.failover import FailingOver, FailOver
from services.transcriber.find_models import with_models
from services.transcriber.forget_orders import ForgetOrders
from services.transcriber.job_rules import TranscriptionJobRules
from services.transcriber.keyring import Keyring
from services.transcriber.order_book import OrderBook
from services.transcriber.providers.cloud.factory import clouds
from services.transcriber.providers.compare_channels import CompareChannels
from services.transcriber.providers.whisper import WhisperPool, WhisperProvider, whisper_pool
from services.transcriber.remote_rules import RemoteRules
from services.transcriber.settings import TranscriberSettings
from services.transcriber.show_progress import ShowProgress
from services.transcriber.store_result import StoreResult
from services.transcriber.transcribe import TranscribeRecording
from services.transcriber.transcribe_remotely import TranscribeRemotely
from shared.domain.job import Lane
from shared.domain.transcription import Transcription
from shared.messaging.consumer import consume
from shared.platform import Platform, every
from shared.sealing import Sealing
from shared.spool import Spool
from shared.storage.effective_configs import EffectiveConfigs
from shared.storage.objects import ObjectStore
from shared.storage.provider_keys import ProviderKeys
from shared.storage.provider_orders import ProviderOrders
from shared.storage.transcripts import Transcripts
from shared.telemetry.health import operations_app
from shared.telemetry.metrics import register_queue
from shared.workers.job_runner import JobLimits, JobRunner
from shared.workers.leases import Leases

_RECONCILE_S = 5.0
_FORGET_S = 2.0


class Transcriber:
    """The transcriber as a service."""

    name = "transcriber"

    def __init__(self, settings: TranscriberSettings, pool: WhisperPool) -> None:
        self._grace_s = settings.runtime.shutdown_grace_s
        self._platform = platform = Platform(self.name, settings.mongo, settings.kafka, hurried=False)
        self._store = ObjectStore(settings.s3)
        self._pool, self._spool = pool, Spool(settings.runtime.work_dir, self.name)
        self._clouds, configs = clouds(settings.cloud), EffectiveConfigs(platform.mongo)
        self._orders = ProviderOrders(platform.mongo)
        self._keys = Keyring(ProviderKeys(platform.mongo, Sealing(settings.sealing.sealing_keys)), settings.cloud.keys())
        self._forget = self._forgetting(settings)
        self._runners = (self._here(settings, configs), self._elsewhere(settings, configs))
        self._decide = DecideTranscription(platform.recordings, platform.transcriptions, configs, platform.relay)
        self._consumer = consume(platform.broker, self.name, handlers(self._decide, self._wake))
        register_queue("transcribe", platform.transcriptions.queue_state)
        register_queue("transcribe_elsewhere", partial(platform.transcriptions.queue_state, Lane.ELSEWHERE))
        self.failed = self._consumer.failed
        self.app = operations_app({**platform.checks, "objects": self._store.check, "workers": self._pool.check})

    def _here(self, settings: TranscriberSettings, configs: EffectiveConfigs) -> JobRunner[Transcription, object]:
        """The runner of what is computed in worker processes, one slot a process."""
        leases = self._leases(Lane.HERE, configs)
        transcribe = TranscribeRecording(
            recordings=self._platform.recordings,
            store=self._store,
            results=self._results(settings, leases),
            progress=ShowProgress(self._platform.transcriptions, Transcripts(self._platform.mongo)),
            providers=(WhisperProvider(self._pool, time_limit_s=settings.speech.transcribe_time_limit_s),),
            spool=self._spool.folder,
        )
        limits = JobLimits(slots=settings.speech.transcribe_slots, lease_s=settings.speech.transcribe_lease_s)
        queue = FailingOver(leases, FailOver(configs, leases))
        return JobRunner(queue, transcribe, name="transcribe", worker=socket.gethostname(), limits=limits)

    def _elsewhere(self, settings: TranscriberSettings, configs: EffectiveConfigs) -> JobRunner[Transcription, object]:
        """The runner of steps at providers on the network, which wait more than they compute."""
        leases, cloud = self._leases(Lane.ELSEWHERE, configs), settings.cloud
        callback_url, fetch_s = cloud.providers_callback_url, cloud.providers_fetch_audio_s
        step = TranscribeRemotely(
            recordings=self._platform.recordings,
            book=OrderBook(
                self._orders,
                self._store,
                self._spool.folder,
                CompareChannels(),
                callback_url=callback_url,
                fetch_s=fetch_s,
            ),
            results=self._results(settings, leases),
            claims=leases,
            failover=FailOver(configs, leases),
            providers=self._clouds.providers,
            keys=self._keys,
            rules=RemoteRules(
                time_limit_s=cloud.providers_time_limit_s,
                callback_limit_s=cloud.providers_callback_limit_s,
                order_again=cloud.providers_order_again,
            ),
        )
        limits = JobLimits(slots=cloud.providers_slots, lease_s=settings.speech.transcribe_lease_s)
        return JobRunner(leases, step, name="transcribe", worker=socket.gethostname(), limits=limits)

    def _forgetting(self, settings: TranscriberSettings) -> ForgetOrders:
        """What deletes what is left of ended orders."""
        return ForgetOrders(
            orders=self._orders,
            transcriptions=self._platform.transcriptions,
            objects=self._store,
            providers=self._clouds.providers,
            keys=self._keys,
            keep_copies=settings.cloud.providers_keep_copies,
        )

    def _leases(self, lane: Lane, configs: EffectiveConfigs) -> Leases[Transcription]:
        platform, limits = self._platform, ProjectLimits(configs)
        return Leases(platform.transcriptions, platform.relay, TranscriptionJobRules(), lane=lane, limit_of=limits)

    def _results(self, settings: TranscriberSettings, leases: Leases[Transcription]) -> StoreResult:
        return StoreResult(Transcripts(self._platform.mongo), leases, settings.cloud.hour_prices())

    def _wake(self) -> None:
        for runner in self._runners:
            runner.wake()

    async def start(self) -> None:
        """Load the model into every worker, connect, and begin to claim jobs."""
        await asyncio.to_thread(self._spool.open)
        await asyncio.gather(self._pool.start(), self._store.start(), self._platform.start(self._orders.ensure_indexes))
        background = self._platform.background
        for runner, name in zip(self._runners, ("jobs", "orders"), strict=True):
            background.start(name, runner.run)
        await self._consumer.start()
        background.start("ended_orders", lambda: every(_FORGET_S, self._forget))
        background.start("undecided", lambda: every(_RECONCILE_S, lambda: self._decide.left_behind(_RECONCILE_S)))

    async def stop(self) -> None:
        """Finish running jobs within the grace time or hand them back, then close."""
        await self._consumer.stop()
        await asyncio.gather(*(runner.stop(0.6 * self._grace_s) for runner in self._runners))
        await self._pool.stop()
        await self._clouds.close()
        await self._platform.stop()
        await self._store.stop()
        await asyncio.to_thread(self._spool.close)


async def build(settings: TranscriberSettings) -> Transcriber:
    """Find the models, fetching them on first use, and build the service."""
    whisper = await asyncio.to_thread(with_models, settings.speech)
    return Transcriber(settings, whisper_pool(whisper, size=settings.speech.transcribe_slots))
