"""Reading one recording, and its chunks."""

from services.ingest.ports import RecordingStore
from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import NotStreaming, not_found
from shared.domain.caller import Caller
from shared.domain.chunks import ChunkUpload
from shared.domain.recording import Recording
from shared.domain.tenant import Tenant


class ReadRecordings:
    """What a caller may see of its project's recordings."""

    def __init__(self, recordings: RecordingStore, files: RecordingFiles) -> None:
        self._recordings, self._files = recordings, files

    async def get(self, caller: Caller, recording_id: str) -> Recording:
        """Return one; another tenant's looks as if it did not exist."""
        return await found(self._recordings, caller, recording_id)

    async def chunks(self, caller: Caller, recording_id: str) -> list[ChunkUpload]:
        """Return what has been received of a streaming recording, by number, the newest of each; nothing once it is swept."""
        recording = await self.get(caller, recording_id)
        if not recording.streaming:
            raise NotStreaming("this recording is not a streaming one: it has no chunks")
        return await self._files.chunks(caller.tenant, recording_id)


async def found(recordings: RecordingStore, caller: Caller, recording_id: str) -> Recording:
    """Return the recording; raises `NotFound` when there is none, or none that the caller may know of."""
    recording = await existing(recordings, caller.tenant, recording_id)
    if not caller.sees(recording):
        raise not_found("recording")
    return recording


async def existing(recordings: RecordingStore, tenant: Tenant, recording_id: str) -> Recording:
    """Return the recording whoever asks; raises `NotFound`."""
    recording = await recordings.get(tenant, recording_id)
    if recording is None:
        raise not_found("recording")
    return recording
