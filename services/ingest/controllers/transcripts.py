"""Transcriptions of one recording, and each as a file."""

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from services.ingest.api_request import ApiRequest, requires
from services.ingest.exports.export_transcription import ExportFormat, ExportTranscription
from services.ingest.list_transcriptions import ListTranscriptions
from services.ingest.paging import DEFAULT_LIMIT, PageRequest
from services.ingest.refusals import NotFound, TranscriptionNotCompleted
from services.ingest.views.pages import PageView
from services.ingest.views.transcriptions import TranscriptionView, listed_view, transcription_view
from shared.domain.transcription import TranscriptionStatus

_MEDIA_TYPES = {
    ExportFormat.TXT: "text/plain",  # the framework adds the charset to what begins so
    ExportFormat.SRT: "application/x-subrip; charset=utf-8",
    ExportFormat.VTT: "text/vtt",
    ExportFormat.JSON: "application/json",
}
_FILES = {
    "text/plain": {"schema": {"type": "string"}},
    "application/x-subrip": {"schema": {"type": "string"}},
    "text/vtt": {"schema": {"type": "string"}},
    "application/json": {"schema": {"type": "object"}},
}


class TranscriptController(Controller):
    """What was said, by recording and exported."""

    path = "/v1"
    tags = ("Transcriptions",)

    @get("/recordings/{recording_id:str}/transcriptions", guards=[requires("transcriptions:read")])
    async def list_page_of_recording(  # noqa: PLR0913, PLR0917 - the query parameters of the contract
        self,
        request: ApiRequest,
        recording_id: FromPath[str],
        list_transcriptions: NamedDependency[ListTranscriptions],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
        status: FromQuery[TranscriptionStatus | None] = None,
    ) -> PageView[TranscriptionView]:
        """List the transcriptions of a recording, newest first."""
        page = PageRequest(limit, offset, cursor)
        return listed_view(await list_transcriptions.of_recording(request.caller, recording_id, page, status=status))

    @get(
        "/transcriptions/{transcription_id:str}/export",
        guards=[requires("transcriptions:read")],
        refuses=[NotFound, TranscriptionNotCompleted],
        answers=_FILES,
    )
    async def export(
        self,
        request: ApiRequest,
        transcription_id: FromPath[str],
        format: FromQuery[ExportFormat],  # noqa: A002 - the contract's name
        export_transcription: NamedDependency[ExportTranscription],
    ) -> Response[bytes]:
        """Return a completed transcription as a file: `txt`, captions as `srt` or `vtt`, or `json`."""
        exported = await export_transcription(request.caller, transcription_id, format)
        if exported.content is None:
            content = msgspec.json.encode(transcription_view(exported.transcription, exported.transcript))
        else:
            content = exported.content.encode()
        headers = {
            "Content-Disposition": f'attachment; filename="{exported.transcription.id}.{format}"',
            "X-Content-Type-Options": "nosniff",
        }
        return Response(content, media_type=_MEDIA_TYPES[format], headers=headers)
