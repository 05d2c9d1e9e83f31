"""Showing how far a transcription is, and what was heard so far, while it is made; never at the cost of making it."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from services.transcriber.ports import OnProgress, PartialStore, Progress, ProgressStore
from services.transcriber.redact import redacted
from shared.domain.clock import now
from shared.domain.errors import PermanentFailure, TransientFailure
from shared.domain.transcript import Segment, Transcript, transcript_of
from shared.domain.transcription import Transcription, TranscriptionProgress

_EVERY_S = 1.0
_TEXT_EVERY_S = 5.0
_TEXT_SHARE = 0.05  # of the time so far: a long text is written more rarely
_FORESEEABLE = 0.02  # with less done, nobody knows how long it will take


class ShowProgress:
    """Shows the progress of transcriptions under way."""

    def __init__(self, store: ProgressStore, partials: PartialStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._partials, self._clock = store, partials, clock

    @contextlib.asynccontextmanager
    async def of(self, claimed: Transcription) -> AsyncIterator[OnProgress]:
        """Yield what takes note of the progress; it is shown at most once a second, and what cannot be written is let go."""
        notes = _Notes(claimed, self._clock)
        showing = asyncio.create_task(self._show(notes))
        try:
            yield notes.take
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)

    async def _show(self, notes: "_Notes") -> None:
        while True:
            await notes.news.wait()
            notes.news.clear()
            progress, text = notes.progress(), notes.text_due()  # of one moment: no text is shown beside the progress before it
            with contextlib.suppress(TransientFailure, PermanentFailure):
                await self._store.report(notes.claimed, progress)
                if text is not None:
                    await self._partials.put(notes.claimed, text, whole=False)
            await asyncio.sleep(_EVERY_S)


class _Notes:
    """What is known of one transcription under way."""

    def __init__(self, claimed: Transcription, clock: Callable[[], float]) -> None:
        self.claimed, self._clock = claimed, clock
        self.news = asyncio.Event()
        self._began = self._written = clock()
        self._latest = Progress(0.0, "transcribing")
        self._heard: list[Segment] = []
        self._shown = 0

    def take(self, progress: Progress) -> None:
        """Note where the work is."""
        self._latest = progress
        self._heard += progress.heard
        self.news.set()

    def progress(self) -> TranscriptionProgress:
        """Return it as it is shown."""
        fraction, passed_s = self._latest.fraction, self._clock() - self._began
        ends_at = now() + timedelta(seconds=passed_s * (1 - fraction) / fraction) if fraction >= _FORESEEABLE else None
        percent = min(math.ceil(fraction * 100), 99)  # none only before anything was heard, all only when the text is there
        return TranscriptionProgress(percent=percent, stage=self._latest.stage, estimated_completion_at=ends_at, updated_at=now())

    def text_due(self) -> Transcript | None:
        """Return what was heard so far when it is time to show more of it."""
        at = self._clock()
        if len(self._heard) == self._shown or at - self._written < max(_TEXT_EVERY_S, _TEXT_SHARE * (at - self._began)):
            return None
        self._shown, self._written = len(self._heard), at
        duration_ms = round(max(segment.end for segment in self._heard) * 1000)
        return redacted(transcript_of(self._heard, language=None, duration_ms=duration_ms), self.claimed.options.redact)
