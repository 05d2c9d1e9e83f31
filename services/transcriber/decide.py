"""The decision whether stitched audio is transcribed without being asked."""

from datetime import timedelta

import msgspec

from services.transcriber.ports import ProcessingConfigs, RecordingStore, TranscriptionStore
from services.transcriber.unreadable_configs import tell_of_unreadable
from shared.domain.clock import now
from shared.domain.config.forms import AutoTranscription
from shared.domain.config.overrides import ConfigUnreadable
from shared.domain.ids import later_derived_id
from shared.domain.languages import LANGUAGES
from shared.domain.recording import TRANSCRIBABLE, Recording
from shared.domain.tenant import Tenant
from shared.domain.trace import traced
from shared.domain.transcription import TranscriptionRequest, queued_transcription
from shared.domain.transition import VersionConflict
from shared.events.transcription import TranscriptionQueued, transcription_event
from shared.passed_over import PassedOver
from shared.workers.leases import Announcer

_BATCH = 100


class DecideTranscription:
    """Queues the automatic transcription of stitched audio: always for a streaming upload, else where the config says so."""

    def __init__(
        self, recordings: RecordingStore, transcriptions: TranscriptionStore, configs: ProcessingConfigs, announcer: Announcer
    ) -> None:
        self._recordings, self._transcriptions = recordings, transcriptions
        self._configs, self._announcer = configs, announcer
        self._passed_over = PassedOver()

    async def __call__(self, tenant: Tenant, recording_id: str) -> None:
        """Decide once; a replay finds the decision made. The transcription's id derives from the recording's job.

        Where the configuration cannot be read nothing is decided, but left to whoever can read it.
        """
        recording = await self._recordings.get(tenant, recording_id)
        if recording is None or not recording.transcription_due:
            return
        try:
            request = await self._request(recording)
        except ConfigUnreadable as error:
            if self._passed_over.add(recording_id):
                tell_of_unreadable(error, tenant, recording_id=recording_id)
            return
        if request is not None and not await self._is_decided(recording):
            await self._queue(recording, request)
        try:
            await self._recordings.save(recording, recording.changed(transcription_due=False))
        except VersionConflict:
            await self(tenant, recording_id)

    async def left_behind(self, older_than_s: float) -> int:
        """Look at recordings that have waited more than `older_than_s` seconds, and decide where one can; return how many."""
        older_than, seen = now() - timedelta(seconds=older_than_s), set[str]()
        while found := await self._recordings.due_for_transcription(older_than, _BATCH, self._passed_over.ids()):
            before = len(seen)
            for recording in found:
                seen.add(recording.id)
                with traced(recording.job.trace_id if recording.job else None):
                    await self(recording.tenant, recording.id)
            if len(found) < _BATCH or len(seen) == before:
                break
        return len(seen)

    async def _request(self, recording: Recording) -> TranscriptionRequest | None:
        if recording.status not in TRANSCRIBABLE or recording.audio is None:
            return None
        config = await self._configs.processing(
            recording.tenant, end_user_id=recording.end_user_id, device_id=recording.device_id
        )
        auto = config.auto_transcription
        if not (recording.streaming or auto.enabled):
            return None
        return TranscriptionRequest(provider=auto.provider, language=_accepted(auto))

    async def _is_decided(self, recording: Recording) -> bool:
        """Say whether there is a transcription: whoever decided may have died before noting it, or a user was faster."""
        return await self._transcriptions.newest_of(recording.tenant, recording.id) is not None

    async def _queue(self, recording: Recording, request: TranscriptionRequest) -> None:
        moment_ms = int(recording.updated_at.timestamp() * 1000)
        transcription_id = later_derived_id("txn", moment_ms, recording.id, recording.job and recording.job.id)
        queued = queued_transcription(transcription_id, recording, request)
        transcription = msgspec.structs.replace(queued, automatic=True)
        event = transcription_event(TranscriptionQueued, transcription)
        if not await self._transcriptions.start(transcription, event):
            return
        if await self._recordings.get(recording.tenant, recording.id) is None:  # deleted, and its transcriptions before this one
            await self._transcriptions.delete_of(recording.tenant, recording.id)
        self._announcer.nudge(self._transcriptions.name, transcription.id, (event,))


def _accepted(auto: AutoTranscription) -> str | None:
    """Return the language as the provider takes it; None, to detect it, where one level meant it for another provider."""
    return None if auto.language is None else LANGUAGES[auto.provider].accept(auto.language)
