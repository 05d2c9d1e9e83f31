"""Transcriptions: start by either route, list, read one."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.bodies import CreateTranscription, Transcribe
from services.ingest.cancel_transcription import CancelTranscription
from services.ingest.list_transcriptions import ListTranscriptions
from services.ingest.paging import DEFAULT_LIMIT, PageRequest
from services.ingest.queue_place import FindQueuePlace
from services.ingest.rates.limiter import Bucket
from services.ingest.read_transcriptions import ReadTranscriptions
from services.ingest.start_transcription import StartTranscription
from services.ingest.views.pages import PageView
from services.ingest.views.transcriptions import TranscriptionView, listed_view, transcription_view
from shared.domain.transcription import TranscriptionStatus

_REFUSES = [
    refusals.NotFound,
    refusals.RecordingNotReady,
    refusals.TranscriptionInProgress,
    refusals.UnsupportedLanguage,
    refusals.ProviderNotConfigured,
]


class TranscriptionController(Controller):
    """Two routes start the same job."""

    path = "/v1"
    tags = ("Transcriptions",)

    @post(
        "/recordings/{recording_id:str}/transcribe",
        guards=[requires("transcriptions:write")],
        refuses=_REFUSES,
        bucket=Bucket.TRANSCRIPTIONS,
    )
    async def transcribe(
        self,
        request: ApiRequest,
        recording_id: FromPath[str],
        data: JSONBody[Transcribe],
        start_transcription: NamedDependency[StartTranscription],
        find_queue_place: NamedDependency[FindQueuePlace],
    ) -> TranscriptionView:
        """Queue a transcription of the recording."""
        transcription = await start_transcription(request.caller, recording_id, data, request.context.claim)
        request.context.note(transcription_id=transcription.id)
        return transcription_view(transcription, None, await find_queue_place(transcription))

    @post("/transcriptions", guards=[requires("transcriptions:write")], refuses=_REFUSES, bucket=Bucket.TRANSCRIPTIONS)
    async def create(
        self,
        request: ApiRequest,
        data: JSONBody[CreateTranscription],
        start_transcription: NamedDependency[StartTranscription],
        find_queue_place: NamedDependency[FindQueuePlace],
    ) -> TranscriptionView:
        """Queue a transcription of the recording that the body names."""
        transcription = await start_transcription(request.caller, data.recording_id, data, request.context.claim)
        request.context.note(transcription_id=transcription.id, recording_id=data.recording_id)
        return transcription_view(transcription, None, await find_queue_place(transcription))

    @get("/transcriptions", guards=[requires("transcriptions:read")])
    async def list_page(  # noqa: PLR0913, PLR0917 - the query parameters of the contract
        self,
        request: ApiRequest,
        list_transcriptions: NamedDependency[ListTranscriptions],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
        recording_id: FromQuery[str | None] = None,
        status: FromQuery[TranscriptionStatus | None] = None,
    ) -> PageView[TranscriptionView]:
        """List transcriptions, newest first.

        `text` is that of the newest ones when a page's texts are long; `segments` are read one by one.
        """
        page = PageRequest(limit, offset, cursor)
        return listed_view(await list_transcriptions(request.caller, page, recording_id=recording_id, status=status))

    @get("/transcriptions/{transcription_id:str}", guards=[requires("transcriptions:read")])
    async def read(
        self,
        request: ApiRequest,
        transcription_id: FromPath[str],
        read_transcriptions: NamedDependency[ReadTranscriptions],
        find_queue_place: NamedDependency[FindQueuePlace],
    ) -> TranscriptionView:
        """Read one, with its text once it is completed."""
        transcription, transcript = await read_transcriptions.get(request.caller, transcription_id)
        return transcription_view(transcription, transcript, await find_queue_place(transcription))

    @post(
        "/transcriptions/{transcription_id:str}/cancel",
        status_code=200,
        guards=[requires("transcriptions:write")],
        refuses=[refusals.NotFound, refusals.TranscriptionEnded],
    )
    async def cancel(
        self,
        request: ApiRequest,
        transcription_id: FromPath[str],
        cancel_transcription: NamedDependency[CancelTranscription],
    ) -> TranscriptionView:
        """Cancel one that waits or runs."""
        return transcription_view(await cancel_transcription(request.caller, transcription_id))
