"""The verb that decides of a stored chunk whether it counts: it is acknowledged only if whatever finalizes there are have it."""

import asyncio
import contextlib

from services.ingest.manifests import Manifests
from services.ingest.ports import RecordingStore
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

    What is read may yet be undone by a crash of the database: only what is there for good decides.
    """

    def __init__(self, recordings: RecordingStore, manifests: Manifests, patience_s: float = PATIENCE_S) -> None:
        self._recordings, self._manifests, self._patience_s = recordings, manifests, patience_s

    async def __call__(self, tenant: Tenant, recording_id: str, key: str) -> None:
        """Return when the upload under `key` is sure to be joined, or replaced by a newer one, when the recording is finalized.

        Raises `AlreadyFinalized` (or `NotFound`) when it is sure not to be, and `TransientFailure` when that cannot be said yet.
        """
        loop = asyncio.get_running_loop()
        pause_s, deadline = _FIRST_PAUSE_S, loop.time() + self._patience_s
        while True:
            intake = await self.intake(tenant, recording_id)
            if intake.status is not RecordingStatus.STREAMING:
                with contextlib.suppress(VersionConflict):
                    return await self._require_pinned(tenant, recording_id, key)
                continue
            if intake.closing_until is None:
                return None
            if intake.closing_until <= now():
                await self._recordings.void_closing(tenant, recording_id, intake.closing_until)
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
        """Return if the manifest names the upload; raises `VersionConflict` when the recording is no longer what it was."""
        recording = await self._recordings.get(tenant, recording_id)
        if recording is None:
            raise not_found("recording")
        is_named = await self._names(recording, key)
        await self._recordings.confirm(recording)
        if recording.status is RecordingStatus.STREAMING:
            raise VersionConflict(recording.id)  # a crash undid what had closed it, and another finalize may be at work
        if not is_named:
            require_open(recording)

    async def _names(self, recording: Recording, key: str) -> bool:
        """Say whether the manifest names the upload, if there is one: it goes with the recording, or the store has lost it."""
        with contextlib.suppress(ObjectMissing):
            return recording.finalization is not None and key in await self._manifests.named(recording)
        return False


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
