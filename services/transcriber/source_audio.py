"""The audio that a transcription is made of: found with its recording, and fetched as it was uploaded."""

from pathlib import Path

from services.transcriber.ports import AudioStore, RecordingStore
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.media import Media
from shared.domain.recording import Recording
from shared.domain.stored_object import pinned
from shared.domain.transcription import Transcription


async def audio_of(recordings: RecordingStore, transcription: Transcription) -> tuple[Recording, Media]:
    """Return the transcription's recording and its audio; raises `PermanentFailure` when there is none any more."""
    recording = await recordings.get(transcription.tenant, transcription.recording_id)
    audio = recording.audio if recording is not None else None
    if recording is None or audio is None:
        raise PermanentFailure(FailureReason.OBJECT_MISSING, "the recording has no audio any more")
    return recording, audio


async def fetch(store: AudioStore, audio: Media, path: Path) -> None:
    """Store the audio at `path`; raises `PermanentFailure` when it is not what was uploaded any more."""
    with pinned(audio.etag):
        await store.download(audio.object_key, path, etag=audio.etag)
