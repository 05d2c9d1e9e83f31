"""Following one recording: everything that happened to it and its transcriptions since a given event, then what happens."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from enum import StrEnum

import msgspec

from services.ingest.live.hub import Hub, Watch
from services.ingest.live.ports import Credentials, EventLog, KeptEvent, LiveRules
from services.ingest.live.progress import ProgressFeed, Transcriptions
from services.ingest.ports import RecordingStore, TranscriptReader
from services.ingest.read_recordings import found
from services.ingest.refusals import Unauthorized
from shared.domain.caller import Caller
from shared.domain.errors import TransientFailure
from shared.domain.transcript import Transcript
from shared.events.event import Event
from shared.events.payload import body_of
from shared.events.recording import RecordingDeleted
from shared.events.topics import TOPICS
from shared.events.transcription import TranscriptionCompleted

SCOPE = "recordings:read"
TEXT_SCOPE = "transcriptions:read"
RETRY_MS = 2_000
BATCH = 50
OVERLAP = 5 << 32
"""Positions begin with a server's seconds. Events that are kept at the same moment may become readable the other way round."""


class Ended(StrEnum):
    """Why a stream ended."""

    DELETED = "deleted"  # the recording is: there will be no more news of it
    LEFT = "left"  # by the client
    DRAINING = "draining"  # the service stops
    REVOKED = "revoked"  # the credential is not valid any more


class Start(msgspec.Struct, frozen=True):
    """Where a stream begins: after `position`, without the event `known`, which the client has."""

    position: int = 0
    known: str | None = None


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What streams are made of."""

    recordings: RecordingStore
    transcriptions: Transcriptions
    log: EventLog
    transcripts: TranscriptReader
    credentials: Credentials
    hub: Hub
    rules: LiveRules


class FollowRecording:
    """Opens streams."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def __call__(self, caller: Caller, authorization: str, recording_id: str, last_event_id: str | None) -> "LiveStream":
        """Return a stream of what was kept after the event `last_event_id`, of everything kept when that is not known.

        The stream holds a place until it is closed; raises `NotFound`, `TooManyStreams`.
        """
        sources = self._sources
        await found(sources.recordings, caller, recording_id)
        watch = sources.hub.open(caller.tenant, recording_id)
        try:
            start = Start()
            if last_event_id is not None:
                position = await sources.log.position_after(caller.tenant, recording_id, last_event_id)
                start = Start(position, last_event_id)
            return LiveStream(sources, watch, caller, authorization, start)
        except BaseException:
            sources.hub.close(watch)
            raise


class LiveStream:
    """One client's stream; nothing is missed between what was and what comes, for it listens before it reads."""

    def __init__(self, sources: Sources, watch: Watch, caller: Caller, authorization: str, start: Start) -> None:
        self._sources, self._rules, self._hub = sources, sources.rules, sources.hub
        self._watch, self._caller, self._authorization = watch, caller, authorization
        self._start, self._reached = start, start.position
        self._told: set[str] = set()
        self.ended: Ended | None = None

    @property
    def told(self) -> int:
        """How many events were sent."""
        return len(self._told)

    def leave(self) -> None:
        """End the stream: the client has gone."""
        self.ended = self.ended or Ended.LEFT
        self._watch.news.set()

    def close(self) -> None:
        """Give the stream's place back."""
        self._hub.close(self._watch)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield what goes out: each event once, in the order in which they were kept, and a comment when nothing happens."""
        yield b"retry: %d\n\n" % RETRY_MS
        transcriptions, look_s = self._sources.transcriptions, self._rules.progress_look_s
        progress = ProgressFeed(transcriptions, self._caller.tenant, self._watch.recording_id, look_s)
        beat_at = time.monotonic() + self._rules.heartbeat_s
        while self.ended is None:
            self._watch.news.clear()
            async for frame in self._news(progress):
                yield frame
            if (moved := await self._moved(progress)) is not None:
                yield moved
            if self._hub.closing:
                self.ended = self.ended or Ended.DRAINING
            if self.ended is None:
                await self._wait(min(beat_at - time.monotonic(), progress.wait_s))
            if self.ended is None and time.monotonic() >= beat_at:
                await self._check_credential()
                yield b": nothing new\n\n"
                beat_at = time.monotonic() + self._rules.heartbeat_s

    async def _wait(self, at_most_s: float) -> None:
        """Return when there may be news: word came, or it is time to look without (an event is kept before it is told of)."""
        wait_s = min(at_most_s, self._rules.idle_look_s if self._hub.is_heard else self._rules.look_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wait_s)):
                await self._watch.news.wait()

    async def _moved(self, progress: ProgressFeed) -> bytes | None:
        if self.ended is not None:
            return None
        with contextlib.suppress(TransientFailure):
            return await progress.frame()
        return None

    async def _news(self, progress: ProgressFeed) -> AsyncIterator[bytes]:
        """Yield events that were not sent yet; while they cannot be read there are none."""
        position = max(self._start.position, self._reached - OVERLAP)
        while self.ended is None:
            try:
                batch = await self._sources.log.kept_since(self._caller.tenant, self._watch.recording_id, position, BATCH)
                for kept in batch:
                    if self.ended is None and self._is_news(kept.event):
                        progress.heard(kept.event)
                        yield await self._frame(kept)
            except TransientFailure:
                return
            if len(batch) < BATCH or not batch[-1].position:
                return
            position = batch[-1].position

    def _is_news(self, event: Event) -> bool:
        return event.event_id not in self._told and event.event_id != self._start.known and TOPICS[event.type].public

    async def _frame(self, kept: KeptEvent) -> bytes:
        event = kept.event
        body = body_of(event, await self._transcript_of(event))
        self._told.add(event.event_id)
        self._reached = max(self._reached, kept.position)
        if isinstance(event, RecordingDeleted):
            self.ended = Ended.DELETED
        return b"id: %s\nevent: %s\ndata: %s\n\n" % (event.event_id.encode(), event.type.encode(), body)

    async def _transcript_of(self, event: Event) -> Transcript | None:
        """Return the text of a completed transcription to those who may read it."""
        if not isinstance(event, TranscriptionCompleted) or not self._caller.may(TEXT_SCOPE):
            return None
        return await self._sources.transcripts.get(event.tenant, event.transcription_id)

    async def _check_credential(self) -> None:
        try:
            if not (await self._sources.credentials(self._authorization)).may(SCOPE):
                self.ended = Ended.REVOKED
        except Unauthorized:
            self.ended = Ended.REVOKED
        except TransientFailure:
            return  # what cannot be asked now is asked again
