"""Where a waiting transcription stands in its project's queue, and when its turn may come."""

import math
from datetime import datetime, timedelta

import msgspec

from services.ingest.ports import TranscriptionStore
from shared.domain.clock import now
from shared.domain.transcription import Transcription, TranscriptionStatus

_LOOKED_AT = 20
_MOST_AHEAD = 10_000


class QueuePlace(msgspec.Struct, frozen=True):
    """`position` counts from 1, up to 10001; no estimate where nothing was transcribed yet."""

    position: int
    estimated_start_at: datetime | None


class FindQueuePlace:
    """Looks at a project's queue; projects take turns, so another's backlog counts for nothing."""

    def __init__(self, transcriptions: TranscriptionStore) -> None:
        self._transcriptions = transcriptions

    async def __call__(self, transcription: Transcription) -> QueuePlace | None:
        """Return the place of one that waits, None of any other."""
        job = transcription.job
        if transcription.status is not TranscriptionStatus.PENDING or job.available_at is None:
            return None
        ahead = await self._transcriptions.ahead_of(transcription, _MOST_AHEAD)
        each_s = await self._usual_s(transcription)
        if each_s is None:
            return QueuePlace(ahead + 1, None)
        at_once = max(1, await self._transcriptions.running_of(transcription.project_id, job.lane, _MOST_AHEAD))
        return QueuePlace(ahead + 1, now() + timedelta(seconds=math.ceil(ahead / at_once) * each_s))

    async def _usual_s(self, transcription: Transcription) -> float | None:
        """Return how long the project's last transcriptions took, on average."""
        matching = {"status": TranscriptionStatus.COMPLETED.value}
        done = await self._transcriptions.page(transcription.tenant, matching, _LOOKED_AT)
        took = [(item.completed_at - item.started_at).total_seconds() for item in done if item.completed_at and item.started_at]
        return sum(took) / len(took) if took else None
