"""How far a recording's transcription is, told in its stream between the events; it has no id, for nothing is resumed at it."""

import time
from typing import Protocol

import msgspec

from shared.domain.tenant import Tenant
from shared.domain.transcription import Transcription, TranscriptionStatus
from shared.events.event import Event
from shared.events.resources import transcription_resource
from shared.events.transcription import TranscriptionCompleted, TranscriptionFailed, TranscriptionStarted

NAME = "transcription.progress"


class Transcriptions(Protocol):
    """Where progress is read."""

    async def newest_of(self, tenant: Tenant, recording_id: str) -> Transcription | None:
        """Return the recording's newest transcription."""


class ProgressFeed:
    """One stream's look at the progress, at most every `look_s` seconds and only while something is being transcribed."""

    def __init__(self, transcriptions: Transcriptions, tenant: Tenant, recording_id: str, look_s: float) -> None:
        self._transcriptions, self._tenant, self._recording_id = transcriptions, tenant, recording_id
        self._look_s, self._look_at = look_s, 0.0
        self._shown: object = None
        self.moving = True  # until a look says otherwise: the stream may begin in the middle

    def heard(self, event: Event) -> None:
        """Take note of an event of the stream."""
        if isinstance(event, TranscriptionStarted):
            self.moving, self._look_at = True, 0.0
        elif isinstance(event, TranscriptionCompleted | TranscriptionFailed):
            self.moving = False

    @property
    def wait_s(self) -> float:
        """How long it is until the next look; for ever while nothing moves."""
        return max(0.0, self._look_at - time.monotonic()) if self.moving else float("inf")

    async def frame(self) -> bytes | None:
        """Return a frame when there is progress to tell of; raises `TransientFailure`."""
        if self.wait_s > 0:
            return None
        self._look_at = time.monotonic() + self._look_s
        newest = await self._transcriptions.newest_of(self._tenant, self._recording_id)
        self.moving = newest is not None and newest.status is TranscriptionStatus.PROCESSING
        if newest is None or not self.moving:
            return None
        progress = transcription_resource(newest).progress
        if progress == self._shown:
            return None
        self._shown = progress
        data = {"transcription_id": newest.id, "recording_id": newest.recording_id, "progress": progress}
        return b"event: %s\ndata: %s\n\n" % (NAME.encode(), msgspec.json.encode({"type": NAME, "data": data}))
