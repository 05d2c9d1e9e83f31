"""The HTTP application: routes to use cases, and every error into the envelope."""

from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide

from services.ingest.administer import Administer
from services.ingest.admission import Admission
from services.ingest.api_request import ApiRequest
from services.ingest.api_response import ApiResponse
from services.ingest.cancel_transcription import CancelTranscription
from services.ingest.complete_upload import CompleteUpload
from services.ingest.configuration.configure import Configure
from services.ingest.configuration.targets import FindTarget
from services.ingest.controllers.admin import KeyController, OrganizationController, ProjectController
from services.ingest.controllers.chunks import ChunkController
from services.ingest.controllers.config import (
    ConfigSchemaController,
    DeviceConfigController,
    EffectiveConfigController,
    EndUserConfigController,
    OrganizationConfigController,
    ProjectConfigController,
)
from services.ingest.controllers.device_commands import DeviceCommandController
from services.ingest.controllers.devices import DeviceController
from services.ingest.controllers.docs import DocsController
from services.ingest.controllers.downloads import DownloadController
from services.ingest.controllers.end_users import EndUserController
from services.ingest.controllers.health import HealthController
from services.ingest.controllers.live import LiveController
from services.ingest.controllers.provider_callbacks import ProviderCallbackController
from services.ingest.controllers.provider_keys import ProviderKeyController
from services.ingest.controllers.recordings import RecordingController
from services.ingest.controllers.relay import RelayController
from services.ingest.controllers.transcriptions import TranscriptionController
from services.ingest.controllers.transcripts import TranscriptController
from services.ingest.controllers.uploads import UploadAliasController, UploadController
from services.ingest.controllers.webhook_deliveries import (
    DeliveryController,
    EndpointDeliveryController,
    WebhookAliasDeliveryController,
)
from services.ingest.controllers.webhook_endpoints import EndpointController, WebhookAliasController
from services.ingest.delete_recording import DeleteRecording
from services.ingest.devices.bind import BindDevices
from services.ingest.devices.command import CommandDevices
from services.ingest.devices.grants import DeviceGrants, GrantAccess
from services.ingest.devices.heartbeat import TakeHeartbeat
from services.ingest.devices.manage import ManageDevices
from services.ingest.devices.state import ReportDevices
from services.ingest.end_users.manage import ManageEndUsers
from services.ingest.exports.export_transcription import ExportTranscription
from services.ingest.finalize import Finalize
from services.ingest.health import ReportHealth
from services.ingest.idempotency.once import Once
from services.ingest.idempotency.repeats import recall
from services.ingest.limits import MAX_BODY_BYTES
from services.ingest.list_recordings import ListRecordings
from services.ingest.list_transcriptions import ListTranscriptions
from services.ingest.live.follow import FollowRecording
from services.ingest.live.hub import Hub
from services.ingest.offer_download import OfferDownload
from services.ingest.open_recording import OpenRecording
from services.ingest.openapi.document import Document
from services.ingest.problems import answer_problem
from services.ingest.provider_keys import ManageProviderKeys
from services.ingest.queue_place import FindQueuePlace
from services.ingest.rates.strangers import Strangers
from services.ingest.read_recordings import ReadRecordings
from services.ingest.read_transcriptions import ReadTranscriptions
from services.ingest.receive_chunk import ReceiveChunk
from services.ingest.relay_chunk import RelayChunk
from services.ingest.relay_upload import RelayUpload
from services.ingest.request_upload import OfferChunkUrls, RequestUploadUrl
from services.ingest.start_transcription import StartTranscription
from services.ingest.strict_query import check_query
from services.ingest.take_answer import TakeAnswer
from services.ingest.webhooks.deliveries import ManageDeliveries
from services.ingest.webhooks.endpoints import ManageEndpoints
from shared.telemetry.health import Health

CONTROLLERS = (
    HealthController,
    DocsController,
    OrganizationController,
    ProjectController,
    KeyController,
    RecordingController,
    LiveController,
    ChunkController,
    UploadController,
    RelayController,
    DownloadController,
    UploadAliasController,
    TranscriptionController,
    TranscriptController,
    ConfigSchemaController,
    EffectiveConfigController,
    OrganizationConfigController,
    ProjectConfigController,
    EndUserConfigController,
    DeviceConfigController,
    EndUserController,
    DeviceController,
    DeviceCommandController,
    ProviderKeyController,
    ProviderCallbackController,
    EndpointController,
    WebhookAliasController,
    EndpointDeliveryController,
    WebhookAliasDeliveryController,
    DeliveryController,
)


class UseCases(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a controller may ask for, by the name under which it does, and what the layers around them need."""

    admission: Admission
    strangers: Strangers
    once: Once
    health: Health
    report_health: ReportHealth
    administer: Administer
    open_recording: OpenRecording
    read_recordings: ReadRecordings
    list_recordings: ListRecordings
    hub: Hub
    follow_recording: FollowRecording
    delete_recording: DeleteRecording
    receive_chunk: ReceiveChunk
    offer_chunk_urls: OfferChunkUrls
    finalize: Finalize
    request_upload_url: RequestUploadUrl
    complete_upload: CompleteUpload
    relay_upload: RelayUpload
    relay_chunk: RelayChunk
    offer_download: OfferDownload
    start_transcription: StartTranscription
    cancel_transcription: CancelTranscription
    find_queue_place: FindQueuePlace
    read_transcriptions: ReadTranscriptions
    list_transcriptions: ListTranscriptions
    export_transcription: ExportTranscription
    find_target: FindTarget
    configure: Configure
    manage_provider_keys: ManageProviderKeys
    take_answer: TakeAnswer
    manage_endpoints: ManageEndpoints
    manage_deliveries: ManageDeliveries
    manage_end_users: ManageEndUsers
    manage_devices: ManageDevices
    bind_devices: BindDevices
    take_heartbeat: TakeHeartbeat
    report_devices: ReportDevices
    command_devices: CommandDevices
    device_grants: DeviceGrants
    grant_access: GrantAccess


def http_app(use_cases: UseCases) -> Litestar:
    """Return the application over these use cases; it holds no other state."""
    app = Litestar(
        route_handlers=CONTROLLERS,
        dependencies={name: _provided(getattr(use_cases, name)) for name in UseCases.__struct_fields__},
        exception_handlers={Exception: answer_problem},
        before_request=_before,
        request_class=ApiRequest,
        response_class=ApiResponse,
        request_max_body_size=MAX_BODY_BYTES,
        state=State({name: getattr(use_cases, name) for name in ("admission", "once", "receive_chunk")}),
        openapi_config=None,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    app.state.document = Document(app)
    return app


async def _before(request: Request[Any, Any, Any]) -> Response[bytes] | None:
    """Run before every handler."""
    check_query(request)
    return await recall(request)


def _provided(use_case: Any) -> Provide:  # noqa: ANN401 - each of them
    async def provide() -> Any:  # noqa: ANN401 - as above
        return use_case

    return Provide(provide)
