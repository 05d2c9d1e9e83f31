"""Reading a transcription, with its text once there is one."""

from services.ingest.ports import RecordingStore, TranscriptionStore, TranscriptReader
from services.ingest.refusals import not_found
from shared.domain.caller import Caller
from shared.domain.transcript import Transcript
from shared.domain.transcription import Transcription, TranscriptionStatus

_WITH_TEXT = frozenset({TranscriptionStatus.PROCESSING, TranscriptionStatus.COMPLETED})


class ReadTranscriptions:
    """What a caller may see of its project's transcriptions."""

    def __init__(self, recordings: RecordingStore, transcriptions: TranscriptionStore, transcripts: TranscriptReader) -> None:
        self._recordings, self._transcriptions, self._transcripts = recordings, transcriptions, transcripts

    async def get(self, caller: Caller, transcription_id: str) -> tuple[Transcription, Transcript | None]:
        """Return one with its text; while the status says `processing` it is what was heard so far, if anything.

        It is gone with its recording, at the same moment.
        """
        transcription = await shown_with_its_recording(self._recordings, self._transcriptions, caller, transcription_id)
        if transcription.status not in _WITH_TEXT:
            return transcription, None
        return transcription, await self._transcripts.get(caller.tenant, transcription_id)


async def shown_with_its_recording(
    recordings: RecordingStore, transcriptions: TranscriptionStore, caller: Caller, transcription_id: str
) -> Transcription:
    """Return the transcription; raises `NotFound` when there is none, or its recording is gone."""
    transcription = await transcriptions.get(caller.tenant, transcription_id)
    if transcription is None or await recordings.get(caller.tenant, transcription.recording_id) is None:
        raise not_found("transcription")
    return transcription
