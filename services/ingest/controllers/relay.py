"""`/v1/recordings/{id}/upload-relay`: uploads through the API, for clients that cannot reach the object store."""

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.limits import checked_relay_number
from services.ingest.rates.limiter import Bucket
from services.ingest.relay_chunk import RelayChunk
from services.ingest.relay_upload import RelayedFile, RelayUpload
from services.ingest.views.chunks import StoredChunkView, stored_chunk_view
from shared.events.resources import RecordingResource, recording_resource


class RelayController(Controller):
    """Bytes that pass through the API."""

    path = "/v1/recordings/{recording_id:str}/upload-relay"
    tags = ("Uploads",)

    @post(
        "/",
        status_code=200,
        request_max_body_size=None,
        guards=[requires("recordings:write", device=True)],
        takes="*/*",
        refuses=[
            refusals.NotFound,
            refusals.InvalidRequest,
            refusals.UploadIncomplete,
            refusals.VerificationPending,
            refusals.LimitReached,
            refusals.LengthRequired,
            refusals.PayloadTooLarge,
        ],
    )
    async def file(
        self, request: ApiRequest, recording_id: FromPath[str], relay_upload: NamedDependency[RelayUpload]
    ) -> RecordingResource:
        """Store a whole audio file and complete its upload.

        The `Content-Type` is the audio's, or `application/octet-stream`; `Content-Length` is required.
        """
        declared = request.headers.get("content-type", "")
        file = RelayedFile(pieces=request.stream(), size_bytes=request.content_length, content_type=declared)
        recording = await relay_upload(request.caller, recording_id, file, request.context.claim)
        request.context.note(bytes=request.content_length)
        return recording_resource(recording)

    @post(
        "/chunk/{seq:str}",
        status_code=200,
        request_max_body_size=None,
        guards=[requires("recordings:write", device=True)],
        takes="*/*",
        refuses=[
            refusals.NotFound,
            refusals.InvalidRequest,
            refusals.NotPlainAudio,
            refusals.EmptyChunk,
            refusals.NotStreaming,
            refusals.AlreadyFinalized,
            refusals.LengthRequired,
            refusals.PayloadTooLarge,
        ],
        bucket=Bucket.CHUNKS,
    )
    async def chunk(
        self, request: ApiRequest, recording_id: FromPath[str], seq: FromPath[str], relay_chunk: NamedDependency[RelayChunk]
    ) -> StoredChunkView:
        """Store a plain chunk of a streaming recording; `seq` counts from 0, so it becomes chunk `seq + 1`.

        Encrypted chunks are not taken.
        """
        number = checked_relay_number(seq)
        stored = await relay_chunk(request.caller, recording_id, number, request.chunk_body())
        request.context.note(chunk_number=number, bytes=stored.size_bytes)
        return stored_chunk_view(recording_id, number, stored)
