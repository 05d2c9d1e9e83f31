"""`/v1/recordings`: open, read, finalize, delete."""

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.bodies import CreateRecording, FinalizeRecording
from services.ingest.delete_recording import DeleteRecording
from services.ingest.finalize import Finalize
from services.ingest.list_recordings import ListRecordings, RecordingFilter
from services.ingest.open_recording import ChunkTemplate, OpenRecording
from services.ingest.paging import DEFAULT_LIMIT, PageRequest
from services.ingest.read_recordings import ReadRecordings
from services.ingest.request_context import RequestContext
from services.ingest.views.pages import PageView
from services.ingest.views.recordings import (
    FinalizeView,
    StreamingRecordingView,
    finalize_view,
    listed_view,
    new_recording_view,
)
from shared.domain.caller import Caller
from shared.domain.recording import RecordingStatus
from shared.events.resources import RecordingResource, recording_resource

MAY_CREATE = requires("recordings:write", device=True)
MAY_LIST = requires("recordings:read")


async def create_recording(
    context: RequestContext, caller: Caller, body: CreateRecording, opens: OpenRecording
) -> tuple[RecordingResource, ChunkTemplate | None]:
    """Open the recording that `body` describes, with the place for its chunks if it is streamed; both routes to it end here."""
    recording, template = await opens(caller, body, context.claim)
    context.note(recording_id=recording.id)
    return recording, template


class RecordingController(Controller):
    """Recordings as a whole."""

    path = "/v1/recordings"
    tags = ("Recordings",)

    @post("/", guards=[MAY_CREATE], refuses=[refusals.NotFound, refusals.EncryptionRequired, refusals.ResourceAlreadyExists])
    async def create(
        self, request: ApiRequest, data: JSONBody[CreateRecording], open_recording: NamedDependency[OpenRecording]
    ) -> RecordingResource | StreamingRecordingView:
        """Open a recording, to be uploaded whole or, with `streaming`, chunk by chunk."""
        return new_recording_view(*await create_recording(request.context, request.caller, data, open_recording))

    @get("/", guards=[MAY_LIST])
    async def list_page(  # noqa: PLR0913, PLR0917 - the query parameters of the contract
        self,
        request: ApiRequest,
        list_recordings: NamedDependency[ListRecordings],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
        status: FromQuery[RecordingStatus | None] = None,
        device_id: FromQuery[str | None] = None,
        end_user_id: FromQuery[str | None] = None,
    ) -> PageView[RecordingResource]:
        """List recordings, newest first."""
        wanted = RecordingFilter(status=status, device_id=device_id, end_user_id=end_user_id)
        return listed_view(await list_recordings(request.caller, PageRequest(limit, offset, cursor), wanted))

    @get("/{recording_id:str}", guards=[requires("recordings:read")])
    async def read(
        self, request: ApiRequest, recording_id: FromPath[str], read_recordings: NamedDependency[ReadRecordings]
    ) -> RecordingResource:
        """Read one recording, with its media and how far it is."""
        return recording_resource(await read_recordings.get(request.caller, recording_id))

    @post(
        "/{recording_id:str}/finalize",
        status_code=200,
        guards=[requires("recordings:write", device=True)],
        refuses=[
            refusals.RecordingNotFound,
            refusals.NotStreaming,
            refusals.ChunkCountMismatch,
            refusals.AlreadyFinalized,
        ],
    )
    async def finalize(
        self,
        request: ApiRequest,
        recording_id: FromPath[str],
        data: JSONBody[FinalizeRecording],
        finalize: NamedDependency[Finalize],
    ) -> FinalizeView:
        """Close a streaming upload and hand the recording to the pipeline."""
        return finalize_view(recording_id, await finalize(request.caller, recording_id, data))

    @delete("/{recording_id:str}", guards=[requires("recordings:write")])
    async def remove(
        self, request: ApiRequest, recording_id: FromPath[str], delete_recording: NamedDependency[DeleteRecording]
    ) -> None:
        """Delete a recording with its transcriptions; audio and text are erased soon after."""
        await delete_recording(request.caller.tenant, recording_id)
