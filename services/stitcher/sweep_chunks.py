"""Deletes the chunks of recordings that are joined and verified; what a crash left is found again later."""

from datetime import timedelta

from services.stitcher.ports import AudioStore, RecordingStore
from shared.domain.clock import now
from shared.domain.object_keys import chunk_number, chunk_prefix
from shared.domain.recording import Recording
from shared.domain.transition import VersionConflict

_BATCH = 100
_CONFLICT_TRIES = 5


class SweepChunks:
    """Removes chunks that nobody needs any more, surely and without haste."""

    def __init__(self, store: AudioStore, recordings: RecordingStore) -> None:
        self._store, self._recordings = store, recordings

    async def __call__(self, recording: Recording) -> None:
        """Delete the chunks that were joined, then forget that they were due; a replay finds nothing to delete.

        Chunks that came too late to be joined stay until the recording itself is erased.
        """
        total = recording.finalization.total_chunks if recording.finalization else 0
        chunks = await self._store.list(chunk_prefix(recording.project_id, recording.id))
        await self._store.delete([chunk.key for chunk in chunks if (chunk_number(chunk.key) or 0) <= total])
        for _ in range(_CONFLICT_TRIES):  # the next stage writes at this very moment; what is left after these the sweep finds
            present = await self._recordings.get(recording.tenant, recording.id)
            if present is None or not present.chunks_due:
                return
            try:
                await self._recordings.save(present, present.changed(chunks_due=False))
            except VersionConflict:
                continue
            return

    async def left_behind(self, older_than_s: float) -> int:
        """Delete the chunks of what was joined more than `older_than_s` seconds ago; return how many recordings."""
        found = await self._recordings.with_chunks_due(now() - timedelta(seconds=older_than_s), _BATCH)
        for recording in found:
            await self(recording)
        return len(found)
