"""Erases deleted recordings, surely: sweep after sweep until nothing can be stored for them, then the rows themselves."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from services.stitcher.ports import DeletedRecordings, DeletedTranscriptions, ErasableObjects, Texts
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.object_keys import recording_prefix
from shared.domain.recording import Recording
from shared.domain.transition import VersionConflict
from shared.telemetry.logs import get_logger

log = get_logger()

_BATCH = 20
_AT_ONCE = 4


class ErasePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How erasing is paced.

    A sweep that does not end, for its process died or a store is away, is begun anew after `retry_s`. The next after one that
    ended comes when the deletion is twice as old, at the least `pause_s` later.
    """

    retry_s: float = 30.0
    pause_s: float = 60.0
    poll_s: float = 5.0


class Remains(msgspec.Struct, frozen=True, kw_only=True):
    """Everywhere something of a recording may lie."""

    objects: ErasableObjects
    recordings: DeletedRecordings
    transcriptions: DeletedTranscriptions
    texts: Sequence[Texts]


class EraseRecordings:
    """Works off the marks that deletions set; `run` until cancelled, `wake` when one may have come.

    A sweep may be repeated, interrupted or done by two at once: what is gone is no error. The mark goes last of all.
    """

    def __init__(self, remains: Remains, policy: ErasePolicy | None = None) -> None:
        self._remains, self._policy = remains, policy or ErasePolicy()
        self._woken = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def wake(self) -> None:
        """Look for what is due now instead of at the next poll."""
        self._woken.set()

    async def run(self) -> None:
        """Sweep what is due, for ever; what depends on an absent server is tried again."""
        while True:
            self._woken.clear()
            try:
                full = await self.sweep() == _BATCH
            except TransientFailure as failure:
                log.warning("erase.deferred", error=type(failure).__name__, reason=str(failure)[:200])
                full = False
            if not full:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._policy.poll_s)

    async def sweep(self) -> int:
        """Sweep once over every recording that is due, at most a batch; return how many that were."""
        due = await self._remains.recordings.to_erase(_BATCH)
        await asyncio.gather(*map(self._guarded, due))
        return len(due)

    async def _guarded(self, recording: Recording) -> None:
        """One recording that cannot be swept now must not keep the others back; it is due again when its claim ends."""
        async with self._slots:
            try:
                await self._swept(recording)
            except VersionConflict:
                return  # another replica was faster
            except TransientFailure as failure:
                log.warning(
                    "erase.not_done_yet", recording_id=recording.id, error=type(failure).__name__, reason=str(failure)[:200]
                )
            except Exception:
                log.exception("erase.fault", recording_id=recording.id)

    async def _swept(self, recording: Recording) -> None:
        claimed = await self._due_again(recording, now() + timedelta(seconds=self._policy.retry_s))
        last = claimed.erasure is not None and claimed.erasure.until <= now()
        objects = await self._erase(claimed)
        removed = last and await self._remove(claimed)
        if not removed:
            await self._due_again(claimed, self._next_sweep(claimed))
        if objects or removed:
            log.info("erase.done", recording_id=claimed.id, project_id=claimed.project_id, objects=objects, removed=removed)

    async def _erase(self, recording: Recording) -> int:
        tenant, remains = recording.tenant, self._remains
        await remains.transcriptions.delete_of(tenant, recording.id)
        for texts in remains.texts:
            await texts.erase_texts(tenant, recording.id)
        return await remains.objects.erase(recording_prefix(recording.project_id, recording.id))

    async def _remove(self, recording: Recording) -> bool:
        """Remove the rows; one that still holds an event waits until that is published."""
        if not await self._remains.transcriptions.remove_of(recording.tenant, recording.id):
            return False
        return await self._remains.recordings.remove(recording)

    async def _due_again(self, recording: Recording, due_at: datetime) -> Recording:
        assert recording.erasure is not None
        erasure = msgspec.structs.replace(recording.erasure, due_at=due_at)
        return await self._remains.recordings.save(recording, recording.changed(erasure=erasure))

    def _next_sweep(self, recording: Recording) -> datetime:
        at = now()
        assert recording.erasure is not None
        assert recording.deleted_at is not None
        pause = max(timedelta(seconds=self._policy.pause_s), at - recording.deleted_at)
        return at + pause if recording.erasure.until <= at else min(at + pause, recording.erasure.until)
