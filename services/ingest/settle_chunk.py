"""The verb that decides of a stored chunk whether it counts: it is acknowledged only if whatever finalizes there are have it."""

import asyncio
import contextlib

from services.ingest.ports import RecordingStore
from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import AlreadyFinalized, NotStreaming, not_found
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.recording import Intake, Recording, RecordingStatus
from shared.domain.stored_object import ObjectMissing
from shared.domain.tenant import Tenant
from shared.domain.transition import VersionConflict

PATIENCE_S = 20.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5


class SettleChunk:
    """Asks the recording, after the store has confirmed the chunk, and only then.

    - Nobody finalizes it: whoever does so later lists this chunk.
    - A finalize is at work: it may have listed the chunk or not, so it is waited for.
    - It is finalized: the manifest tells.
    - A finalize died: its mark is taken away first, by a write after which it could not finish even if it came back to life.
    """

    def __init__(self, recordings: RecordingStore, files: RecordingFiles, patience_s: float = PATIENCE_S) -> None:
        self._recordings, self._files, self._patience_s = recordings, files, patience_s

    async def __call__(self, tenant: Tenant, recording_id: str, key: str) -> None:
        """Return when the upload under `key` is sure to be joined, or replaced by a newer one, when the recording is finalized.

        Raises `AlreadyFinalized` (or `NotFound`) when it is sure not to be, and `TransientFailure` when that cannot be said yet.
        """
        loop = asyncio.get_running_loop()
        pause_s, deadline = _FIRST_PAUSE_S, loop.time() + self._patience_s
        while True:
            intake = await self.intake(tenant, recording_id)
            if intake.status is not RecordingStatus.STREAMING:
                await self._require_pinned(tenant, recording_id, key)
                return
            if intake.closing_until is None:
                return
            if intake.closing_until <= now():
                await self._reopen(tenant, recording_id)
                continue
            if loop.time() > deadline:
                raise TransientFailure(f"{recording_id} is being finalized")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def intake(self, tenant: Tenant, recording_id: str) -> Intake:
        """Return how the recording stands towards chunks; raises `NotFound` or `NotStreaming`."""
        intake = await self._recordings.intake(tenant, recording_id)
        if intake is None:
            raise not_found("recording")
        require_streaming(intake)
        return intake

    async def _require_pinned(self, tenant: Tenant, recording_id: str, key: str) -> None:
        recording = await self._recordings.get(tenant, recording_id)
        if recording is None:
            raise not_found("recording")
        if recording.finalization is not None:
            try:
                pinned = await self._files.pinned(tenant, recording_id, recording.finalization.manifest_key)
            except ObjectMissing as missing:  # it goes only with the recording
                raise not_found("recording") from missing
            if key in pinned:
                return
        require_open(recording)

    async def _reopen(self, tenant: Tenant, recording_id: str) -> None:
        present = await self._recordings.get(tenant, recording_id)
        if present is None or present.closing_until is None or present.closing_until > now():
            return
        with contextlib.suppress(VersionConflict):
            await self._recordings.save(present, present.closing(None))


def require_streaming(recording: Recording | Intake) -> None:
    """Refuse unless the recording is one that is uploaded in chunks."""
    if not recording.streaming:
        raise NotStreaming("this recording is not a streaming one: upload it by upload-url")


def require_open(recording: Recording | Intake) -> None:
    """Refuse unless the recording takes chunks, or may again when a finalize that is at work has failed."""
    require_streaming(recording)
    if recording.status is not RecordingStatus.STREAMING:
        raise AlreadyFinalized(
            "the recording is finalized and takes no more chunks", details={"current_status": recording.status}
        )
