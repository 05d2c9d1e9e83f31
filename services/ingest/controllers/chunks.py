"""`/v1/recordings/{id}/chunks`: the pieces of a streaming upload."""

import msgspec
from litestar import Controller, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.bodies import RequestChunkUrls
from services.ingest.chunk_bodies import ChunkBody
from services.ingest.limits import checked_chunk_number
from services.ingest.openapi.security import SIGNED_URL
from services.ingest.rates.limiter import Bucket
from services.ingest.read_recordings import ReadRecordings
from services.ingest.receive_chunk import ReceiveChunk
from services.ingest.request_context import RequestContext
from services.ingest.request_upload import OfferChunkUrls
from services.ingest.signatures import ChunkQuery
from services.ingest.views.chunks import (
    ChunkUrlsView,
    ChunkView,
    StoredChunkView,
    chunk_urls_view,
    chunk_view,
    stored_chunk_view,
)
from services.ingest.views.pages import PageView
from shared.domain.errors import TransientFailure


class SentChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk's PUT as it came; `body` is None when its length is not known."""

    recording_id: str
    chunk_number: str
    query: ChunkQuery
    body: ChunkBody | None


class ChunkController(Controller):
    """Chunks, numbered from 1."""

    path = "/v1/recordings/{recording_id:str}"
    tags = ("Chunks",)

    @put(
        "/chunks/{chunk_number:str}",
        request_max_body_size=None,
        credential=SIGNED_URL,
        takes="*/*",
        refuses=[
            refusals.Forbidden,
            refusals.UploadUrlExpired,
            refusals.EmptyChunk,
            refusals.NotStreaming,
            refusals.AlreadyFinalized,
            refusals.LengthRequired,
            refusals.PayloadTooLarge,
            TransientFailure,
        ],
    )
    async def store(  # noqa: PLR0913, PLR0917 - the parts of the signed URL
        self,
        request: ApiRequest,
        recording_id: FromPath[str],
        chunk_number: FromPath[str],
        project: FromQuery[str] = "",
        mode: FromQuery[str] = "",
        expires: FromQuery[str] = "",
        signature: FromQuery[str] = "",
    ) -> StoredChunkView:
        """Store a chunk; the URL, made from the recording's template, is the credential."""
        sent = SentChunk(
            recording_id=recording_id,
            chunk_number=chunk_number,
            query=ChunkQuery(project=project, mode=mode, expires=expires, signature=signature),
            body=request.chunk_body(),
        )
        return await store_chunk(request.app.state.receive_chunk, request.context, sent)

    @get("/chunks", guards=[requires("recordings:read")], refuses=[refusals.NotFound, refusals.NotStreaming])
    async def list_page(
        self, request: ApiRequest, recording_id: FromPath[str], read_recordings: NamedDependency[ReadRecordings]
    ) -> PageView[ChunkView]:
        """List the chunks received, by number, all of them."""
        chunks = await read_recordings.chunks(request.caller, recording_id)
        return PageView(data=[chunk_view(chunk) for chunk in chunks], has_more=False, next_cursor=None)

    @post(
        "/chunk-urls",
        status_code=200,
        guards=[requires("recordings:write")],
        refuses=[refusals.NotFound, refusals.NotStreaming, refusals.AlreadyFinalized],
        bucket=Bucket.UPLOAD_URLS,
    )
    async def offer_urls(
        self,
        request: ApiRequest,
        recording_id: FromPath[str],
        data: JSONBody[RequestChunkUrls],
        offer_chunk_urls: NamedDependency[OfferChunkUrls],
    ) -> ChunkUrlsView:
        """Return URLs that store chunks without passing the API."""
        return chunk_urls_view(await offer_chunk_urls(request.caller, recording_id, data))


async def store_chunk(receive_chunk: ReceiveChunk, context: RequestContext, sent: SentChunk) -> StoredChunkView:
    """Store a chunk and show it; the request's log line tells whose it is, its number and its size."""
    tenant = receive_chunk.admit(sent.recording_id, sent.query)
    context.note(project_id=tenant.project_id, mode=tenant.mode.value)
    number = checked_chunk_number(sent.chunk_number)
    stored = await receive_chunk(tenant, sent.recording_id, number, sent.body)
    context.note(chunk_number=number, bytes=stored.size_bytes)
    return stored_chunk_view(sent.recording_id, number, stored)
