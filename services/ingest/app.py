"""Joins the parts of the API: the only place that builds its clients."""

from services.ingest.administer import Administer, AdminStores
from services.ingest.authentication import AdminGate, Authenticate
from services.ingest.complete_upload import CompleteUpload
from services.ingest.configure import Configure
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
from services.ingest.settings import IngestSettings
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
from shared.telemetry.health import Health

PROVIDERS = frozenset({ProviderName.WHISPER})
"""The speech providers that this installation can reach."""


class Ingest:
    """The API as a service. It starts and takes uploads while Kafka is away: events wait in their outboxes."""

    name = "ingest"

    def __init__(self, settings: IngestSettings) -> None:
        self._platform = Platform(self.name, settings.mongo, settings.kafka)
        self._store = ObjectStore(settings.s3)
        self._keys = ApiKeys(self._platform.mongo)
        self._projects = Projects(self._platform.mongo)
        self._organizations = Organizations(self._platform.mongo)
        self._endpoints = WebhookEndpoints(self._platform.mongo)
        self.health = Health({"mongodb": self._platform.mongo.check, "objects": self._store.check})
        self.app = Edge(http_app(self._use_cases(settings)), self.health)

    async def start(self) -> None:
        """Connect; the bucket and the topics are made as soon as their servers answer."""
        await self._store.start()
        await self._platform.start(*(store.ensure_indexes for store in (self._keys, self._projects, self._endpoints)))
        self._platform.background.start("bucket", self._store.ensure_bucket)

    async def stop(self) -> None:
        """Publish what waits, then close."""
        await self._platform.stop()
        await self._store.stop()

    def _use_cases(self, settings: IngestSettings) -> UseCases:
        recordings, transcriptions, api = self._platform.recordings, self._platform.transcriptions, settings.api
        files, outbox = RecordingFiles(self._store), Outbox(self._platform.relay)
        signatures = Signatures(api.signing_secret)
        pager = Pager(signatures)
        authenticate = Authenticate(self._keys, api.key_cache_s)
        admin_stores = AdminStores(self._organizations, self._projects, self._keys)
        return UseCases(
            authenticate=authenticate,
            admin_gate=AdminGate(api.admin_token),
            health=self.health,
            report_health=ReportHealth(self._platform.mongo.check),
            administer=Administer(admin_stores, pager, authenticate.forget),
            open_recording=OpenRecording(recordings, outbox, ChunkTemplates(signatures, api.public_url, api.chunk_url_ttl_s)),
            read_recordings=ReadRecordings(recordings, files, pager),
            receive_chunk=ReceiveChunk(recordings, files, signatures, max_bytes=api.max_chunk_bytes),
            offer_chunk_urls=OfferChunkUrls(recordings, files, api.upload_url_ttl_s),
            finalize=Finalize(recordings, files, outbox),
            request_upload_url=RequestUploadUrl(recordings, files, outbox, api.upload_url_ttl_s),
            complete_upload=CompleteUpload(recordings, files, outbox),
            start_transcription=StartTranscription(recordings, transcriptions, outbox, PROVIDERS),
            read_transcriptions=ReadTranscriptions(transcriptions, Transcripts(self._platform.mongo)),
            configure=Configure(ConfigOverrides(self._platform.mongo)),
            manage_endpoints=ManageEndpoints(self._endpoints, pager, allow_private=api.webhooks_allow_private),
        )


def build(settings: IngestSettings) -> Ingest:
    """Build the service."""
    return Ingest(settings)
