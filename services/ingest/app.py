"""Joins the parts of the API: the only place that builds its clients."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from services.ingest import ports
from services.ingest.administer import Administer, AdminStores
from services.ingest.admission import Admission
from services.ingest.authentication import AdminGate, Authenticate
from services.ingest.chunk_bodies import ChunkBodies
from services.ingest.chunk_route import ChunkRoute
from services.ingest.complete_upload import CompleteUpload
from services.ingest.configuration import ports as configuration_ports
from services.ingest.configuration.configure import Configure
from services.ingest.configuration.targets import FindTarget, TargetStores
from services.ingest.configuration.upload_policy import UploadPolicy
from services.ingest.cors import Cors
from services.ingest.delete_recording import DeleteRecording
from services.ingest.devices.bind import BindDevices, BindingStores
from services.ingest.devices.command import CommandDevices
from services.ingest.devices.grants import CommandGrants
from services.ingest.devices.heartbeat import TakeHeartbeat
from services.ingest.devices.manage import ManageDevices
from services.ingest.devices.ports import CommandStore, DeviceStore
from services.ingest.devices.state import ReportDevices
from services.ingest.edge import Edge
from services.ingest.end_users.erase import EraseEndUsers, Remains
from services.ingest.end_users.manage import ManageEndUsers
from services.ingest.end_users.ports import EndUserStore
from services.ingest.finalize import Finalize
from services.ingest.health import ReportHealth
from services.ingest.http import UseCases, http_app
from services.ingest.idempotency.once import Once
from services.ingest.idempotency.repeats import KeepsAnswers
from services.ingest.live import ports as live_ports
from services.ingest.live.follow import FollowRecording
from services.ingest.live.hub import Hub
from services.ingest.offer_download import OfferDownload
from services.ingest.open_recording import ChunkTemplates, OpenRecording
from services.ingest.outbox import Outbox
from services.ingest.paging import Pager
from services.ingest.provider_keys import ConfiguredProviders, ManageProviderKeys
from services.ingest.rates.limiter import RateLimiter, Rates
from services.ingest.rates.strangers import Strangers
from services.ingest.read_recordings import ReadRecordings
from services.ingest.read_transcriptions import ReadTranscriptions
from services.ingest.receive_chunk import ReceiveChunk
from services.ingest.recording_files import RecordingFiles
from services.ingest.relay_chunk import RelayChunk
from services.ingest.relay_upload import RelayUpload
from services.ingest.request_upload import OfferChunkUrls, RequestUploadUrl
from services.ingest.settings import ApiSettings, IngestSettings
from services.ingest.settle_chunk import SettleChunk
from services.ingest.signatures import Signatures
from services.ingest.start_transcription import StartTranscription
from services.ingest.subjects import FindSubjects
from services.ingest.webhooks import ports as webhook_ports
from services.ingest.webhooks.deliveries import ManageDeliveries
from services.ingest.webhooks.endpoints import EndpointRules, ManageEndpoints
from shared.domain.transcription import ProviderName
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
from shared.storage.rate_windows import RateWindows
from shared.storage.transcripts import Transcripts
from shared.storage.upload_tokens import UploadTokens
from shared.storage.webhook_deliveries import WebhookDeliveries
from shared.storage.webhook_endpoints import WebhookEndpoints
from shared.telemetry.health import ASGIApp, Check, Health

_ERASE_EVERY_S = 2.0
_LONGEST_BELIEF_S = 30.0
_POLICY_CACHE_S = 5.0


class Stores(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is kept somewhere, and the relay that publishes."""

    recordings: ports.RecordingStore
    transcriptions: ports.TranscriptionStore
    transcripts: ports.TranscriptReader
    objects: ports.ObjectStore
    configs: configuration_ports.ConfigStore
    end_users: EndUserStore
    devices: DeviceStore
    commands: CommandStore
    endpoints: webhook_ports.EndpointStore
    deliveries: webhook_ports.DeliveryStore
    organizations: ports.OrganizationStore
    projects: ports.ProjectStore
    keys: ports.KeyStore
    windows: ports.WindowStore
    answers: ports.AnswerStore
    upload_tokens: ports.UploadTokenStore
    provider_keys: ports.ProviderKeyStore
    relay: ports.EventRelay
    events: live_ports.EventLog


def served(api: ApiSettings, use_cases: UseCases) -> Edge:
    """Return the application with all that wraps it."""
    app: ASGIApp = ChunkRoute(KeepsAnswers(http_app(use_cases), use_cases.once), use_cases.receive_chunk)
    if api.cors_origins:
        app = Cors(app, api.cors_origins)
    return Edge(app, use_cases.health, use_cases.strangers)


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
        remains = Remains(platform.recordings, use_cases.bind_devices.release, use_cases.delete_recording)
        self._erase_end_users = EraseEndUsers(stores.end_users, remains)

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


_INDEXED = (
    "keys",
    "projects",
    "endpoints",
    "configs",
    "windows",
    "answers",
    "upload_tokens",
    "provider_keys",
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
        relay=platform.relay,
        events=platform.events,
    )


def joined(api: ApiSettings, stores: Stores, health: Health, check_database: Check, *, work_dir: Path | None = None) -> UseCases:
    """Join the use cases to what they need."""
    recordings, transcriptions = stores.recordings, stores.transcriptions
    files, outbox = RecordingFiles(stores.objects), Outbox(stores.relay)
    settle, signatures = SettleChunk(recordings, files), Signatures(api.signing_secret)
    pager = Pager(signatures)
    receive_chunk = ReceiveChunk(files, settle, signatures, ChunkBodies(api.max_chunk_bytes, work_dir))
    announce = RequestUploadUrl(recordings, files, outbox, stores.upload_tokens, api.upload_url_ttl_s)
    complete = CompleteUpload(recordings, files, outbox)
    providers = ConfiguredProviders({ProviderName.WHISPER, *api.cloud_providers}, stores.provider_keys)
    lookups = {"sk": stores.keys, "rk": stores.keys, "up": stores.upload_tokens, "dtok": stores.devices}
    authenticate = Authenticate(lookups, api.key_cache_s)
    grants = CommandGrants(api.signing_secret)
    bound = BindingStores(devices=stores.devices, commands=stores.commands, end_users=stores.end_users)
    bind_devices = BindDevices(bound, grants, authenticate.forget)
    admin_gate, strangers = AdminGate(api.admin_token), Strangers(api.failures_per_minute, api.proxies)
    find_subjects = FindSubjects(stores.end_users, stores.devices, min(api.key_cache_s, _LONGEST_BELIEF_S))
    upload_policy = UploadPolicy(stores.configs, stores.projects, min(api.key_cache_s, _POLICY_CACHE_S))
    targets = TargetStores(stores.organizations, stores.projects, stores.end_users, stores.devices)
    admin_stores = AdminStores(stores.organizations, stores.projects, stores.keys)
    templates = ChunkTemplates(signatures, api.public_url, api.chunk_url_ttl_s)
    return UseCases(
        authenticate=authenticate,
        admin_gate=admin_gate,
        admission=Admission(authenticate, admin_gate, RateLimiter(rates_of(api), stores.windows), strangers),
        strangers=strangers,
        once=Once(stores.answers),
        health=health,
        report_health=ReportHealth(check_database),
        administer=Administer(admin_stores, pager, authenticate.forget),
        open_recording=OpenRecording(recordings, outbox, find_subjects, upload_policy, templates),
        read_recordings=ReadRecordings(recordings, files, pager),
        delete_recording=DeleteRecording(recordings, transcriptions, outbox, api.upload_url_ttl_s),
        receive_chunk=receive_chunk,
        relay_chunk=RelayChunk(recordings, receive_chunk),
        offer_chunk_urls=OfferChunkUrls(recordings, files, api.upload_url_ttl_s),
        finalize=Finalize(recordings, files, outbox, api.upload_url_ttl_s),
        request_upload_url=announce,
        complete_upload=complete,
        relay_upload=RelayUpload(recordings, announce, files, complete, api.max_relay_bytes),
        offer_download=OfferDownload(recordings, files, api.upload_url_ttl_s),
        start_transcription=StartTranscription(recordings, transcriptions, outbox, providers),
        read_transcriptions=ReadTranscriptions(recordings, transcriptions, stores.transcripts),
        find_target=FindTarget(targets),
        configure=Configure(stores.configs, pager, providers),
        manage_provider_keys=ManageProviderKeys(stores.provider_keys),
        manage_end_users=ManageEndUsers(stores.end_users, pager, bind_devices.release, find_subjects.forget),
        bind_devices=bind_devices,
        command_grants=grants,
        **_of_devices(stores, pager),
        **_of_webhooks(api, stores, pager),
        **_of_live_views(api, stores, authenticate),
    )


def _of_webhooks(api: ApiSettings, stores: Stores, pager: Pager) -> dict[str, Any]:
    """Join the use cases of webhooks."""
    rules = EndpointRules(api.webhooks_allow_private, timedelta(seconds=api.webhooks_secret_grace_s))
    endpoints = ManageEndpoints(stores.endpoints, stores.deliveries, pager, rules)
    deliveries = ManageDeliveries(stores.deliveries, endpoints, pager, test_wait_s=api.webhooks_test_wait_s)
    return {"manage_endpoints": endpoints, "manage_deliveries": deliveries}


def _of_live_views(api: ApiSettings, stores: Stores, authenticate: Authenticate) -> dict[str, Any]:
    """Join the use cases of live views."""
    rules = live_ports.LiveRules(streams_per_project=api.live_streams_per_project, heartbeat_s=api.live_heartbeat_s)
    hub = Hub(rules)
    follow = FollowRecording(stores.recordings, stores.events, stores.transcripts, authenticate, hub)
    return {"live_rules": rules, "hub": hub, "follow_recording": follow}


def _of_devices(stores: Stores, pager: Pager) -> dict[str, Any]:
    """Join the use cases of devices that need nothing else."""
    return {
        "manage_devices": ManageDevices(stores.devices, pager),
        "take_heartbeat": TakeHeartbeat(stores.devices, stores.commands),
        "report_devices": ReportDevices(stores.devices, stores.commands, stores.recordings),
        "command_devices": CommandDevices(stores.devices, stores.commands, pager),
    }


def rates_of(api: ApiSettings) -> Rates:
    """Return the limits of a project."""
    return Rates(**{name: getattr(api, name) for name in Rates.__struct_fields__})


def build(settings: IngestSettings) -> Ingest:
    """Build the service."""
    return Ingest(settings)
