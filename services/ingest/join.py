"""Joins the use cases of the API to what they need."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from services.ingest import ports
from services.ingest.administer import Administer, AdminStores
from services.ingest.admission import Admission
from services.ingest.authentication import AdminGate, Authenticate
from services.ingest.cancel_transcription import CancelTranscription
from services.ingest.chunk_bodies import ChunkBodies
from services.ingest.chunk_route import ChunkRoute
from services.ingest.complete_upload import CompleteUpload
from services.ingest.configuration import ports as configuration_ports
from services.ingest.configuration.configure import Configure
from services.ingest.configuration.provider_choice import ChooseProvider
from services.ingest.configuration.targets import FindTarget, TargetStores
from services.ingest.configuration.upload_policy import UploadPolicy
from services.ingest.cors import Cors
from services.ingest.create_route import CreateRoute
from services.ingest.delete_recording import DeleteRecording
from services.ingest.devices.bind import BindDevices, BindingStores
from services.ingest.devices.command import CommandDevices
from services.ingest.devices.grants import DeviceGrants, GrantAccess
from services.ingest.devices.heartbeat import TakeHeartbeat
from services.ingest.devices.manage import ManageDevices
from services.ingest.devices.ports import CommandStore, DeviceStore
from services.ingest.devices.state import ReportDevices
from services.ingest.edge import Edge
from services.ingest.end_users.manage import ManageEndUsers
from services.ingest.end_users.ports import EndUserStore
from services.ingest.exports.export_transcription import ExportTranscription
from services.ingest.finalize import Finalize
from services.ingest.head_limits import HeadLimits
from services.ingest.health import ReportHealth
from services.ingest.http import UseCases, http_app
from services.ingest.idempotency.once import Once
from services.ingest.idempotency.repeats import KeepsAnswers
from services.ingest.list_recordings import ListRecordings
from services.ingest.list_route import ListRoute
from services.ingest.list_transcriptions import ListTranscriptions
from services.ingest.live import ports as live_ports
from services.ingest.live.follow import FollowRecording, Sources
from services.ingest.live.hub import Hub
from services.ingest.manifests import Manifests
from services.ingest.offer_download import OfferDownload
from services.ingest.open_recording import ChunkTemplates, OpenRecording
from services.ingest.outbox import Outbox
from services.ingest.paging import Pager
from services.ingest.provider_keys import ManageProviderKeys
from services.ingest.providers import ConfiguredProviders
from services.ingest.queue_place import FindQueuePlace
from services.ingest.rates.limiter import RateLimiter, Rates
from services.ingest.rates.strangers import Strangers
from services.ingest.read_recordings import ReadRecordings
from services.ingest.read_transcriptions import ReadTranscriptions
from services.ingest.receive_chunk import ReceiveChunk
from services.ingest.recording_files import RecordingFiles
from services.ingest.relay_chunk import RelayChunk
from services.ingest.relay_upload import RelayUpload
from services.ingest.request_upload import OfferChunkUrls, RequestUploadUrl
from services.ingest.settings import ApiSettings
from services.ingest.settle_chunk import SettleChunk
from services.ingest.signatures import Signatures
from services.ingest.start_transcription import ProviderChoice, StartTranscription
from services.ingest.subjects import FindSubjects
from services.ingest.take_answer import TakeAnswer
from services.ingest.webhooks import ports as webhook_ports
from services.ingest.webhooks.deliveries import ManageDeliveries
from services.ingest.webhooks.endpoints import EndpointRules, ManageEndpoints
from shared.domain.transcription import ProviderName
from shared.telemetry.health import ASGIApp, Check, Health

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
    provider_orders: ports.OrderReader
    relay: ports.EventRelay
    events: live_ports.EventLog


def served(api: ApiSettings, use_cases: UseCases) -> Edge:
    """Return the application with all that wraps it."""
    app: ASGIApp = KeepsAnswers(http_app(use_cases), use_cases.once)
    app = CreateRoute(app, use_cases.admission, use_cases.open_recording)
    app = ListRoute(app, use_cases.admission, use_cases.list_recordings)
    app = HeadLimits(ChunkRoute(app, use_cases.receive_chunk))
    if api.cors_origins:
        app = Cors(app, api.cors_origins)
    return Edge(app, use_cases.health, use_cases.strangers)


def joined(api: ApiSettings, stores: Stores, health: Health, check_database: Check, *, work_dir: Path | None = None) -> UseCases:
    """Join the use cases to what they need."""
    recordings, transcriptions = stores.recordings, stores.transcriptions
    files, outbox = RecordingFiles(stores.objects), Outbox(stores.relay)
    signatures = Signatures(api.signing_secret)
    pager = Pager(signatures)
    lookups = {"sk": stores.keys, "rk": stores.keys, "up": stores.upload_tokens, "dtok": stores.devices}
    authenticate = Authenticate(lookups, api.key_cache_s)
    grants = DeviceGrants(api.signing_secret)
    bound = BindingStores(devices=stores.devices, commands=stores.commands, end_users=stores.end_users)
    bind_devices = BindDevices(bound, grants, authenticate.forget)
    strangers = Strangers(api.failures_per_minute, api.proxies)
    find_subjects = FindSubjects(stores.end_users, stores.devices, min(api.key_cache_s, _LONGEST_BELIEF_S))
    upload_policy = UploadPolicy(stores.configs, stores.projects, min(api.key_cache_s, _POLICY_CACHE_S))
    targets = TargetStores(stores.organizations, stores.projects, stores.end_users, stores.devices)
    admin_stores = AdminStores(stores.organizations, stores.projects, stores.keys)
    templates = ChunkTemplates(signatures, api.public_url, api.chunk_url_ttl_s)
    return UseCases(
        admission=Admission(authenticate, AdminGate(api.admin_token), RateLimiter(rates_of(api), stores.windows), strangers),
        strangers=strangers,
        once=Once(stores.answers),
        health=health,
        report_health=ReportHealth(check_database),
        administer=Administer(admin_stores, pager, authenticate.forget),
        open_recording=OpenRecording(recordings, outbox, find_subjects, upload_policy, templates),
        read_recordings=ReadRecordings(recordings, files),
        list_recordings=ListRecordings(recordings, pager),
        delete_recording=DeleteRecording(recordings, transcriptions, outbox, api.upload_url_ttl_s),
        find_target=FindTarget(targets),
        manage_end_users=ManageEndUsers(stores.end_users, pager, bind_devices.release, find_subjects.forget),
        bind_devices=bind_devices,
        device_grants=grants,
        grant_access=GrantAccess(stores.devices, grants),
        **_of_uploads(api, stores, signatures, ChunkBodies(api.max_chunk_bytes, work_dir)),
        **_of_providers(api, stores, pager),
        **_of_devices(stores, pager),
        **_of_webhooks(api, stores, pager),
        **_of_live_views(api, stores, authenticate),
    )


def _of_uploads(api: ApiSettings, stores: Stores, signatures: Signatures, bodies: ChunkBodies) -> dict[str, Any]:
    """Join the use cases by which audio comes and goes."""
    recordings, files, outbox = stores.recordings, RecordingFiles(stores.objects), Outbox(stores.relay)
    manifests = Manifests(recordings, stores.objects)
    receive = ReceiveChunk(files, SettleChunk(recordings, manifests), signatures, bodies)
    announce = RequestUploadUrl(recordings, files, outbox, stores.upload_tokens, api.upload_url_ttl_s)
    complete = CompleteUpload(recordings, files, outbox)
    return {
        "receive_chunk": receive,
        "relay_chunk": RelayChunk(recordings, receive),
        "offer_chunk_urls": OfferChunkUrls(recordings, files, api.upload_url_ttl_s),
        "finalize": Finalize(recordings, files, manifests, outbox, api.upload_url_ttl_s),
        "request_upload_url": announce,
        "complete_upload": complete,
        "relay_upload": RelayUpload(announce, files, complete, api.max_relay_bytes),
        "offer_download": OfferDownload(recordings, files, api.upload_url_ttl_s),
    }


def _of_providers(api: ApiSettings, stores: Stores, pager: Pager) -> dict[str, Any]:
    """Join the use cases that have to know the providers of transcriptions."""
    providers = ConfiguredProviders({ProviderName.WHISPER, *api.cloud_providers}, stores.provider_keys)
    recordings, transcriptions = stores.recordings, stores.transcriptions
    choice = ProviderChoice(providers, ChooseProvider(stores.configs, stores.projects))
    read = ReadTranscriptions(recordings, transcriptions, stores.transcripts)
    return {
        "cancel_transcription": CancelTranscription(recordings, transcriptions, Outbox(stores.relay)),
        "find_queue_place": FindQueuePlace(transcriptions),
        "start_transcription": StartTranscription(recordings, transcriptions, Outbox(stores.relay), choice),
        "read_transcriptions": read,
        "list_transcriptions": ListTranscriptions(recordings, transcriptions, stores.transcripts, pager),
        "export_transcription": ExportTranscription(read),
        "configure": Configure(stores.configs, pager, providers),
        "manage_provider_keys": ManageProviderKeys(stores.provider_keys),
        "take_answer": TakeAnswer(stores.provider_orders, transcriptions, stores.objects, api.max_answer_bytes),
    }


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
    sources = Sources(
        recordings=stores.recordings,
        transcriptions=stores.transcriptions,
        log=stores.events,
        transcripts=stores.transcripts,
        credentials=authenticate,
        hub=hub,
        rules=rules,
    )
    return {"hub": hub, "follow_recording": FollowRecording(sources)}


def _of_devices(stores: Stores, pager: Pager) -> dict[str, Any]:
    """Join the use cases of devices that need nothing else."""
    return {
        "manage_devices": ManageDevices(stores.devices, pager),
        "take_heartbeat": TakeHeartbeat(stores.devices, stores.commands, stores.end_users),
        "report_devices": ReportDevices(stores.devices, stores.commands, stores.recordings),
        "command_devices": CommandDevices(stores.devices, stores.commands, pager),
    }


def rates_of(api: ApiSettings) -> Rates:
    """Return the limits of a project."""
    return Rates(**{name: getattr(api, name) for name in Rates.__struct_fields__})
