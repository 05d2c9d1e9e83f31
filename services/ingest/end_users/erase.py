"""What a deleted end user leaves behind is worked off: devices are freed, recordings deleted with all that belongs to them.

What was configured for it, and what its devices' commands said, is erased, too.
"""

import asyncio
from datetime import datetime, timedelta

import msgspec

from services.ingest.end_users.ports import ErasureQueue, OfEndUser
from services.ingest.ports import RecordingStore
from services.ingest.refusals import NotFound
from shared.domain.clock import now
from shared.domain.end_user import EndUser
from shared.domain.errors import TransientFailure
from shared.telemetry.logs import get_logger

log = get_logger()

LEASE = timedelta(minutes=2)
SETTLED_AFTER = timedelta(minutes=10)
"""How long after the deletion something may still come for the end user: what was looked up before it is believed for a minute
(`key_cache_s`, at most), and a request that believed it may hang for a while."""

_FIRST_PAUSE = timedelta(seconds=5)
_PAGE = 50
_AT_ONCE = 5


class Remains(msgspec.Struct, frozen=True, kw_only=True):
    """How to deal with what is left: by tenant and id of an end user, but for `delete_recording`, which takes a recording's."""

    recordings: RecordingStore
    release: OfEndUser
    erase_configs: OfEndUser
    erase_commands: OfEndUser
    delete_recording: OfEndUser


class EraseEndUsers:
    """Works off deleted end users, one at a time, claimed under a lease so that replicas share them.

    Every step may be done again, so a crash in the middle costs nothing but the time until the lease ends. One is swept again,
    at growing pauses, until nothing more can have come for it: a recording made at the moment of the deletion is found, too. A
    recording that cannot be deleted, as one in the form of a newer release, keeps no other from it, and is tried again.
    """

    def __init__(self, queue: ErasureQueue, remains: Remains, settled_after: timedelta = SETTLED_AFTER) -> None:
        self._queue, self._remains, self._settled_after = queue, remains, settled_after

    async def __call__(self) -> None:
        """Work off whatever is due."""
        while (claimed := await self._queue.claim_erasure(now(), now() + LEASE)) is not None:
            await self._sweep(claimed)

    async def _sweep(self, claimed: EndUser) -> None:
        began = now()
        await self._remains.release(claimed.tenant, claimed.id)
        await self._remains.erase_configs(claimed.tenant, claimed.id)
        await self._remains.erase_commands(claimed.tenant, claimed.id)
        matching = {"end_user_id": claimed.id}
        erased, left, last = 0, 0, None
        while found := await self._remains.recordings.page_of_versions(claimed.tenant, matching, _PAGE, before=last):
            for start in range(0, len(found), _AT_ONCE):
                gone = await asyncio.gather(*(self._delete(claimed, item.id) for item in found[start : start + _AT_ONCE]))
                erased, left = erased + gone.count(True), left + gone.count(False)
            last = found[-1].id
            renewed = await self._queue.extend_erasure(claimed, now() + LEASE)
            if renewed is None:  # another replica thought us dead, and goes on
                return
            claimed = renewed
        await self._queue.extend_erasure(claimed, now() + LEASE if left else self._next_sweep(claimed, began))
        log.info("end_user.swept", end_user_id=claimed.id, recordings=erased, left=left)

    async def _delete(self, end_user: EndUser, recording_id: str) -> bool:
        """Return whether the recording is gone, by whoever it was; the stores may fail, and end the sweep."""
        try:
            await self._remains.delete_recording(end_user.tenant, recording_id)
        except NotFound:
            return True  # somebody was quicker
        except TransientFailure:
            raise
        except Exception:
            log.exception("end_user.recording_left", end_user_id=end_user.id, recording_id=recording_id)
            return False
        return True

    def _next_sweep(self, end_user: EndUser, began: datetime) -> datetime | None:
        """Return when to look again, None when this sweep began late enough to have seen everything."""
        deleted_at = end_user.deleted_at or began
        if began - deleted_at >= self._settled_after:
            return None
        return min(began + max(_FIRST_PAUSE, began - deleted_at), deleted_at + self._settled_after)
