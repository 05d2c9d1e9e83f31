"""The audio that a transcription is made of, found with its recording."""

from services.transcriber.ports import RecordingStore
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.media import Media
from shared.domain.recording import Recording
from shared.domain.transcription import Transcription


async def audio_of(recordings: RecordingStore, transcription: Transcription) -> tuple[Recording, Media]:
    """Return the transcription's recording and its audio; raises `PermanentFailure` when there is none any more."""
    recording = await recordings.get(transcription.tenant, transcription.recording_id)
    audio = recording.audio if recording is not None else None
    if recording is None or audio is None:
        raise PermanentFailure(FailureReason.OBJECT_MISSING, "the recording has no audio any more")
    return recording, audio
