"""Joins the parts of the API: the only place that builds its clients."""

from services.ingest.end_users.erase import EraseEndUsers, Remains
from services.ingest.http import UseCases
from services.ingest.join import Stores, joined, served
from services.ingest.settings import IngestSettings
from shared.messaging.tail import Tail
from shared.platform import Platform, every
from shared.sealing import Sealing
from shared.storage.api_keys import ApiKeys
from shared.storage.config_overrides import ConfigOverrides
from shared.storage.device_commands import DeviceCommands
from shared.storage.devices import Devices
from shared.storage.end_users import EndUsers
from shared.storage.idempotency_keys import IdempotencyKeys
from shared.storage.objects import ObjectStore
from shared.storage.organizations import Organizations
from shared.storage.projects import Projects
from shared.storage.provider_keys import ProviderKeys
from shared.storage.provider_orders import ProviderOrders
from shared.storage.rate_windows import RateWindows
from shared.storage.transcripts import Transcripts
from shared.storage.upload_tokens import UploadTokens
from shared.storage.webhook_deliveries import WebhookDeliveries
from shared.storage.webhook_endpoints import WebhookEndpoints
from shared.telemetry.health import Health
from shared.telemetry.metrics import register_queue

_ERASE_EVERY_S = 2.0


class Ingest:
    """The API as a service. It starts and takes uploads while Kafka is away: events wait in their outboxes."""

    name = "ingest"

    def __init__(self, settings: IngestSettings) -> None:
        self._platform = platform = Platform(self.name, settings.mongo, settings.kafka)
        mongo = platform.mongo
        self._store = ObjectStore(settings.s3)
        stores = _stores(settings, platform, self._store)
        self._indexed = [getattr(stores, name) for name in _INDEXED]
        self.health = Health({"mongodb": mongo.check, "objects": self._store.check})
        self._work_dir = settings.runtime.work_dir
        use_cases = joined(settings.api, stores, self.health, mongo.check, work_dir=self._work_dir)
        self._hub = use_cases.hub
        self._tail = Tail(platform.broker, self._hub)
        self.app = served(settings.api, use_cases)
        self._erase_end_users = _eraser(platform, use_cases)

    async def start(self) -> None:
        """Connect; the bucket and the topics are made as soon as their servers answer."""
        if self._work_dir is not None:
            self._work_dir.mkdir(parents=True, exist_ok=True)
        await self._store.start()
        await self._platform.start(*(store.ensure_indexes for store in self._indexed))
        self._platform.background.start("bucket", self._store.ensure_bucket)
        self._platform.background.start("tail", self._tail.run)
        self._platform.background.start("streams", lambda: self._hub.close_when(self.health.draining))
        self._platform.background.start("erase_end_users", lambda: every(_ERASE_EVERY_S, self._erase_end_users))

    async def stop(self) -> None:
        """Publish what waits, then close."""
        await self._platform.stop()
        await self._store.stop()


def _eraser(platform: Platform, use_cases: UseCases) -> EraseEndUsers:
    """Build what works off deleted end users, and let its queue be watched."""
    end_users = EndUsers(platform.mongo)
    register_queue("end_user_erasures", end_users.erasures_due)
    remains = Remains(
        recordings=platform.recordings,
        release=use_cases.bind_devices.release,
        erase_configs=use_cases.configure.erase,
        erase_commands=DeviceCommands(platform.mongo).erase_texts,
        delete_recording=use_cases.delete_recording,
    )
    return EraseEndUsers(end_users, remains)


_INDEXED = (
    "keys",
    "projects",
    "endpoints",
    "configs",
    "windows",
    "answers",
    "upload_tokens",
    "provider_keys",
    "provider_orders",
    "end_users",
    "devices",
    "commands",
)
"""The stores whose indexes this service makes; the platform makes those of its own."""


def _stores(settings: IngestSettings, platform: Platform, objects: ObjectStore) -> Stores:
    """Build what keeps things."""
    mongo, sealing = platform.mongo, Sealing(settings.sealing.sealing_keys)
    return Stores(
        recordings=platform.recordings,
        transcriptions=platform.transcriptions,
        transcripts=Transcripts(mongo),
        objects=objects,
        configs=ConfigOverrides(mongo),
        end_users=EndUsers(mongo),
        devices=Devices(mongo),
        commands=DeviceCommands(mongo),
        endpoints=WebhookEndpoints(mongo, sealing),
        deliveries=WebhookDeliveries(mongo),
        organizations=Organizations(mongo),
        projects=Projects(mongo),
        keys=ApiKeys(mongo),
        windows=RateWindows(mongo),
        answers=IdempotencyKeys(mongo, sealing),
        upload_tokens=UploadTokens(mongo),
        provider_keys=ProviderKeys(mongo, sealing),
        provider_orders=ProviderOrders(mongo),
        relay=platform.relay,
        events=platform.events,
    )


def build(settings: IngestSettings) -> Ingest:
    """Build the service."""
    return Ingest(settings)
