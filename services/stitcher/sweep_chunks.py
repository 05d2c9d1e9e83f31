"""Deletes what was stored for streaming uploads and is not needed once they are joined; what a crash left is found later."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.stitcher.ports import AudioStore, RecordingStore
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.object_keys import chunk_prefix, manifest_prefix, media_prefix
from shared.domain.recording import Recording
from shared.domain.transition import VersionConflict
from shared.telemetry.logs import get_logger

log = get_logger()

_BATCH = 100
_CONFLICT_TRIES = 5
_AGAIN_AFTER = timedelta(minutes=10)  # what failed: to note it changes the recording, which its owner sees


class SweepChunks:
    """Removes what nobody reads any more, surely and without haste.

    That is every chunk, joined or not, the manifests of finalizes that another overtook, and joined objects of workers that
    lost their claim. The first sweep comes at once. By pre-signed URLs chunks can be stored a while longer, and a worker that
    was thought dead may still write: the last sweep comes when the last URL has ended. Where the store has lost the joined audio,
    as one that was restored from an earlier backup, the chunks may be all that is left of it: they stay.
    """

    def __init__(self, store: AudioStore, recordings: RecordingStore) -> None:
        self._store, self._recordings = store, recordings

    async def __call__(self, recording: Recording) -> None:
        """Sweep, then note when the next one is due; a replay finds nothing to delete."""
        began = now()
        needed = set(_needed(recording))
        stored = [item.key for prefix in _prefixes(recording) for item in await self._store.list(prefix)]
        if recording.audio is None or recording.audio.object_key in stored:
            await self._store.delete([key for key in stored if key not in needed])
            await self._note(recording, _next_after(recording, began))
        elif await self._note(recording, None):
            log.error("sweep.audio_missing", recording_id=recording.id, project_id=recording.project_id, objects=len(stored))

    async def due(self, grace_s: float) -> int:
        """Sweep what has been due for `grace_s` seconds, all of it; return how many recordings that were."""
        before, swept = now() - timedelta(seconds=grace_s), 0
        while found := await self._recordings.to_sweep(before, _BATCH):
            for recording in found:
                await self._guarded(recording)
            swept += len(found)
            if len(found) < _BATCH:
                break
        return swept

    async def _guarded(self, recording: Recording) -> None:
        """One recording that cannot be swept now must not keep the others back: it is due again some minutes later."""
        about = {"recording_id": recording.id, "project_id": recording.project_id}
        try:
            await self(recording)
        except TransientFailure as failure:
            log.warning("sweep.not_done_yet", **about, error=type(failure).__name__, reason=str(failure)[:200])
        except Exception:
            log.exception("sweep.fault", **about)
        else:
            return
        await self._note(recording, now() + _AGAIN_AFTER)

    async def _note(self, recording: Recording, at: datetime | None) -> bool:
        """Note when the next sweep is due; False when the recording was deleted or somebody else has noted that."""
        for _ in range(_CONFLICT_TRIES):  # the next stage writes at this very moment; after these the next sweep notes it
            present = await self._recordings.get(recording.tenant, recording.id)
            if present is None or present.sweep_at != recording.sweep_at:
                return False
            try:
                await self._recordings.save(present, present.changed(sweep_at=at))
            except VersionConflict:
                continue
            return True
        return False


def _prefixes(recording: Recording) -> Iterator[str]:
    yield chunk_prefix(recording.project_id, recording.id)
    yield manifest_prefix(recording.project_id, recording.id)
    for media in recording.media:
        yield media_prefix(recording.project_id, recording.id, media.id)


def _needed(recording: Recording) -> Iterator[str]:
    """Yield what stays: the audio, and a manifest, by which a late PUT learns whether its chunk was joined."""
    for media in recording.media:
        yield media.object_key
    if recording.finalization is not None and recording.finalization.manifest_key is not None:
        yield recording.finalization.manifest_key


def _next_after(recording: Recording, began: datetime) -> datetime | None:
    finalization = recording.finalization
    return finalization.urls_end if finalization is not None and finalization.urls_end > began else None
