"""Joins the parts of the API: the only place that builds its clients."""

from pathlib import Path

import msgspec

from services.ingest import ports
from services.ingest.administer import Administer, AdminStores
from services.ingest.authentication import AdminGate, Authenticate
from services.ingest.chunk_bodies import ChunkBodies
from services.ingest.complete_upload import CompleteUpload
from services.ingest.configure import Configure
from services.ingest.delete_recording import DeleteRecording
from services.ingest.edge import Edge
from services.ingest.finalize import Finalize
from services.ingest.health import ReportHealth
from services.ingest.http import UseCases, http_app
from services.ingest.open_recording import ChunkTemplates, OpenRecording
from services.ingest.outbox import Outbox
from services.ingest.paging import Pager
from services.ingest.read_recordings import ReadRecordings
from services.ingest.read_transcriptions import ReadTranscriptions
from services.ingest.receive_chunk import ReceiveChunk
from services.ingest.recording_files import RecordingFiles
from services.ingest.request_upload import OfferChunkUrls, RequestUploadUrl
from services.ingest.settings import ApiSettings, IngestSettings
from services.ingest.signatures import Signatures
from services.ingest.start_transcription import StartTranscription
from services.ingest.webhook_endpoints import ManageEndpoints
from shared.domain.transcription import ProviderName
from shared.platform import Platform
from shared.storage.api_keys import ApiKeys
from shared.storage.config_overrides import ConfigOverrides
from shared.storage.objects import ObjectStore
from shared.storage.organizations import Organizations
from shared.storage.projects import Projects
from shared.storage.transcripts import Transcripts
from shared.storage.webhook_endpoints import WebhookEndpoints
from shared.telemetry.health import Check, Health

PROVIDERS = frozenset({ProviderName.WHISPER})
"""The speech providers that this installation can reach."""


class Stores(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is kept somewhere, and the relay that publishes."""

    recordings: ports.RecordingStore
    transcriptions: ports.TranscriptionStore
    transcripts: ports.TranscriptReader
    objects: ports.ObjectStore
    configs: ports.ConfigStore
    endpoints: ports.EndpointStore
    organizations: ports.OrganizationStore
    projects: ports.ProjectStore
    keys: ports.KeyStore
    relay: ports.EventRelay


class Ingest:
    """The API as a service. It starts and takes uploads while Kafka is away: events wait in their outboxes."""

    name = "ingest"

    def __init__(self, settings: IngestSettings) -> None:
        self._platform = platform = Platform(self.name, settings.mongo, settings.kafka)
        mongo = platform.mongo
        self._store = ObjectStore(settings.s3)
        self._keys, self._projects, self._endpoints = ApiKeys(mongo), Projects(mongo), WebhookEndpoints(mongo)
        stores = Stores(
            recordings=platform.recordings,
            transcriptions=platform.transcriptions,
            transcripts=Transcripts(mongo),
            objects=self._store,
            configs=ConfigOverrides(mongo),
            endpoints=self._endpoints,
            organizations=Organizations(mongo),
            projects=self._projects,
            keys=self._keys,
            relay=platform.relay,
        )
        self.health = Health({"mongodb": mongo.check, "objects": self._store.check})
        self._work_dir = settings.runtime.work_dir
        use_cases = joined(settings.api, stores, self.health, mongo.check, work_dir=self._work_dir)
        self.app = Edge(http_app(use_cases), self.health)

    async def start(self) -> None:
        """Connect; the bucket and the topics are made as soon as their servers answer."""
        if self._work_dir is not None:
            self._work_dir.mkdir(parents=True, exist_ok=True)
        await self._store.start()
        await self._platform.start(*(store.ensure_indexes for store in (self._keys, self._projects, self._endpoints)))
        self._platform.background.start("bucket", self._store.ensure_bucket)

    async def stop(self) -> None:
        """Publish what waits, then close."""
        await self._platform.stop()
        await self._store.stop()


def joined(api: ApiSettings, stores: Stores, health: Health, check_database: Check, *, work_dir: Path | None = None) -> UseCases:
    """Join the use cases to what they need."""
    recordings, transcriptions = stores.recordings, stores.transcriptions
    files, outbox = RecordingFiles(stores.objects), Outbox(stores.relay)
    signatures = Signatures(api.signing_secret)
    pager = Pager(signatures)
    authenticate = Authenticate({"sk": stores.keys, "rk": stores.keys}, api.key_cache_s)
    admin_stores = AdminStores(stores.organizations, stores.projects, stores.keys)
    templates = ChunkTemplates(signatures, api.public_url, api.chunk_url_ttl_s)
    return UseCases(
        authenticate=authenticate,
        admin_gate=AdminGate(api.admin_token),
        health=health,
        report_health=ReportHealth(check_database),
        administer=Administer(admin_stores, pager, authenticate.forget),
        open_recording=OpenRecording(recordings, outbox, templates),
        read_recordings=ReadRecordings(recordings, files, pager),
        delete_recording=DeleteRecording(recordings, transcriptions, outbox, api.upload_url_ttl_s),
        receive_chunk=ReceiveChunk(recordings, files, signatures, ChunkBodies(api.max_chunk_bytes, work_dir)),
        offer_chunk_urls=OfferChunkUrls(recordings, files, api.upload_url_ttl_s),
        finalize=Finalize(recordings, files, outbox),
        request_upload_url=RequestUploadUrl(recordings, files, outbox, api.upload_url_ttl_s),
        complete_upload=CompleteUpload(recordings, files, outbox),
        start_transcription=StartTranscription(recordings, transcriptions, outbox, PROVIDERS),
        read_transcriptions=ReadTranscriptions(recordings, transcriptions, stores.transcripts),
        configure=Configure(stores.configs, PROVIDERS),
        manage_endpoints=ManageEndpoints(stores.endpoints, pager, allow_private=api.webhooks_allow_private),
    )


def build(settings: IngestSettings) -> Ingest:
    """Build the service."""
    return Ingest(settings)
