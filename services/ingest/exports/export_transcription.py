"""The verb of export: a completed transcription becomes a file (contract A14)."""

import asyncio
from enum import StrEnum

import msgspec

from services.ingest.exports.formats import as_srt, as_text, as_vtt
from services.ingest.read_transcriptions import ReadTranscriptions
from services.ingest.refusals import TranscriptionNotCompleted
from shared.domain.caller import Caller
from shared.domain.transcript import Transcript
from shared.domain.transcription import Transcription, TranscriptionStatus


class ExportFormat(StrEnum):
    """What a transcription may be exported as."""

    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"
    JSON = "json"


_FORMATS = {ExportFormat.TXT: as_text, ExportFormat.SRT: as_srt, ExportFormat.VTT: as_vtt}


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A transcription with its text, which stands in `content` too where the format is one of text."""

    transcription: Transcription
    transcript: Transcript
    content: str | None


class ExportTranscription:
    """Exports what is completed; whatever is not is refused, saying how far it is."""

    def __init__(self, read: ReadTranscriptions) -> None:
        self._read = read

    async def __call__(self, caller: Caller, transcription_id: str, form: ExportFormat) -> Exported:
        """Return the transcription in this format; hours of speech are cut into captions beside the event loop."""
        transcription, transcript = await self._read.get(caller, transcription_id)
        if transcription.status is not TranscriptionStatus.COMPLETED or transcript is None:
            details = {"current_status": transcription.status}
            raise TranscriptionNotCompleted("there is no transcript to export, or not yet", details=details)
        write = _FORMATS.get(form)
        content = None if write is None else await asyncio.to_thread(write, transcript)
        return Exported(transcription=transcription, transcript=transcript, content=content)
