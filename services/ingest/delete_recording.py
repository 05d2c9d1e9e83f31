"""The verb of `DELETE /recordings/{id}`: a recording is gone from every read at once, and what is left of it is erased soon."""

from datetime import timedelta

from services.ingest.outbox import Outbox, decided_anew
from services.ingest.ports import RecordingStore, TranscriptionStore
from services.ingest.read_recordings import existing
from services.ingest.recording_files import LAST_PUT
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.recording import Recording
from shared.domain.tenant import Tenant
from shared.events.recording import RecordingDeleted, recording_event
from shared.telemetry.logs import get_logger

log = get_logger()


class DeleteRecording:
    """Deletes recordings, in whatever status; `url_ttl_s` is the longest life of a URL by which a store takes a PUT."""

    def __init__(self, recordings: RecordingStore, transcriptions: TranscriptionStore, outbox: Outbox, url_ttl_s: int) -> None:
        self._recordings, self._transcriptions, self._outbox = recordings, transcriptions, outbox
        self._urls_live = timedelta(seconds=url_ttl_s) + LAST_PUT

    async def __call__(self, tenant: Tenant, recording_id: str) -> None:
        """Delete the recording with its transcriptions, and tell so once; raises `NotFound`, at a repeat too.

        The one write that deletes the recording also stops its job, marks it as to be erased and queues `recording.deleted`.
        """

        async def attempt() -> None:
            await self._delete(await existing(self._recordings, tenant, recording_id))

        await decided_anew(attempt)
        try:
            await self._transcriptions.delete_of(tenant, recording_id)
        except TransientFailure as failure:  # nothing shows them without their recording; the eraser does it again
            log.warning("recording.transcriptions_left", recording_id=recording_id, error=type(failure).__name__)

    async def _delete(self, recording: Recording) -> None:
        after = recording.deleted(urls_end=now() + self._urls_live)
        await self._outbox.save(self._recordings, recording, after, recording_event(RecordingDeleted, after))
