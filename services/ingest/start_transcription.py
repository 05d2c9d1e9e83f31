"""The verb of transcribe: a transcription is queued for a recording whose audio is there (contract A12, A15)."""

from collections.abc import Sequence

import msgspec

from services.ingest.bodies import Transcribe
from services.ingest.configuration.provider_choice import ChooseProvider
from services.ingest.outbox import Outbox
from services.ingest.ports import RecordingStore, TranscriptionStore
from services.ingest.providers import ConfiguredProviders, accepted_language, refuse_unless_configured
from services.ingest.read_recordings import found
from services.ingest.refusals import (
    RecordingNotReady,
    TranscriptionInProgress,
    not_found,
)
from shared.domain.caller import Caller
from shared.domain.errors import AlreadyExists, TransientFailure
from shared.domain.ids import same_but_for_time, sorted_after
from shared.domain.kept_answer import Claim, identified
from shared.domain.recording import TRANSCRIBABLE, Recording, RecordingStatus
from shared.domain.tenant import Tenant
from shared.domain.transcription import (
    Priority,
    SpeechOptions,
    Transcription,
    TranscriptionRequest,
    TranscriptionStatus,
    queued_transcription,
)
from shared.domain.transition import TransitionRefused, VersionConflict
from shared.events.transcription import TranscriptionEvent, TranscriptionQueued, completion_of, transcription_event
from shared.telemetry.logs import get_logger

log = get_logger()

_LATEST = 100  # among which a repeat looks for its own


class ProviderChoice(msgspec.Struct, frozen=True):
    """Which providers there are, and which of them is meant when nobody says."""

    configured: ConfiguredProviders
    choose: ChooseProvider


class StartTranscription:
    """Queues transcriptions; at most one of a recording is active, which the store's unique index guards."""

    def __init__(
        self, recordings: RecordingStore, transcriptions: TranscriptionStore, outbox: Outbox, choice: ProviderChoice
    ) -> None:
        self._recordings, self._transcriptions = recordings, transcriptions
        self._outbox, self._choice = outbox, choice

    async def __call__(self, caller: Caller, recording_id: str, body: Transcribe, claim: Claim | None = None) -> Transcription:
        """Store the transcription with its `transcription.queued`; the recording shows it from now on.

        What an earlier run of the same claim has stored is returned as it stands: its id follows from the claim. Of a recording
        deleted in the meantime none is left; raises `NotFound` then.
        """
        recording = await found(self._recordings, caller, recording_id)
        wanted_id = identified("txn", claim)
        latest = await self._latest(recording, 1 if claim is None else _LATEST)
        if claim is not None and (stored := await self._stored(recording, wanted_id, latest)):
            return stored
        request = await self._request(recording, body)
        await self._refuse_unready(recording)
        transcription_id = sorted_after(wanted_id, latest[0].id) if latest else wanted_id
        transcription = queued_transcription(transcription_id, recording, request)
        event = transcription_event(TranscriptionQueued, transcription)
        try:
            await self._outbox.add(self._transcriptions, transcription, event)
        except AlreadyExists as error:
            if claim is not None and (stored := await self._stored(recording, wanted_id, await self._latest(recording, _LATEST))):
                return stored  # by a run that went on beside this one
            raise await self._in_progress(caller.tenant, recording_id) from error
        await self._refuse_deleted(recording)
        await reflect(self._recordings, event)
        return transcription

    async def _latest(self, recording: Recording, limit: int) -> Sequence[Transcription]:
        """Return the recording's newest transcriptions: the next sorts after them, though it may be wanted for longer.

        A recording shows the last of its transcriptions by id.
        """
        return await self._transcriptions.page(recording.tenant, {"recording_id": recording.id}, limit)

    async def _stored(self, recording: Recording, wanted_id: str, latest: Sequence[Transcription]) -> Transcription | None:
        """Return what an earlier run has stored, as it was wanted or, where others came before it, after them."""
        own = next((one for one in latest if same_but_for_time(one.id, wanted_id)), None)
        return own or await self._transcriptions.get(recording.tenant, wanted_id)

    async def _request(self, recording: Recording, body: Transcribe) -> TranscriptionRequest:
        provider = body.provider or await self._choice.choose(recording)
        refuse_unless_configured(provider, await self._choice.configured.of(recording.tenant, {provider}), param="provider")
        diarization = True if body.diarization is None else body.diarization
        return TranscriptionRequest(
            provider=provider,
            language=accepted_language(provider, body.language, param="language"),
            diarization=diarization,
            options=_options(body),
            priority=body.priority or Priority.NORMAL,
        )

    async def _refuse_unready(self, recording: Recording) -> None:
        """Refuse unless there is audio: a streaming upload has none until its chunks are joined, whatever its status says.

        A transcription is completed a moment before its recording shows it, and who saw the one may go on.
        """
        if recording.status in TRANSCRIBABLE and recording.audio is not None:
            return
        newest = await self._transcriptions.newest_of(recording.tenant, recording.id)
        if newest is not None and newest.active:
            raise _already(newest)
        if recording.status is RecordingStatus.PROCESSING and newest and newest.status is TranscriptionStatus.COMPLETED:
            await reflect(self._recordings, completion_of(newest))  # else the next run would hide it
            return
        details = {"current_status": recording.status, "stitching": recording.job and recording.job.status}
        raise RecordingNotReady("the recording has no audio to transcribe, or not yet", details=details)

    async def _refuse_deleted(self, recording: Recording) -> None:
        """Take back what was stored after a deletion had already deleted the recording's transcriptions.

        Where that cannot be told now it stands, unseen without its recording, until the eraser's next sweep.
        """
        try:
            if await self._recordings.get(recording.tenant, recording.id) is not None:
                return
            await self._transcriptions.delete_of(recording.tenant, recording.id)
        except TransientFailure as failure:
            log.warning("transcription.deletion_unknown", recording_id=recording.id, error=type(failure).__name__)
            return
        raise not_found("recording")

    async def _in_progress(self, tenant: Tenant, recording_id: str) -> TranscriptionInProgress:
        return _already(await self._transcriptions.newest_of(tenant, recording_id))


async def reflect(recordings: RecordingStore, event: TranscriptionEvent) -> None:
    """Show the fact on its recording; what cannot be shown now is shown by whoever publishes the event."""
    try:
        await recordings.reflect(event)
    except (TransientFailure, VersionConflict, TransitionRefused) as error:
        log.warning("transcription.not_reflected", recording_id=event.recording_id, error=type(error).__name__)


def _options(body: Transcribe) -> SpeechOptions:
    return SpeechOptions(
        num_speakers=body.num_speakers,
        multichannel=body.multichannel or False,
        prompt=body.prompt or None,
        vocabulary=tuple(dict.fromkeys(body.vocabulary or ())),
        redact=tuple(sorted(set(body.redact or ()))),
    )


def _already(transcription: Transcription | None) -> TranscriptionInProgress:
    details = None if transcription is None else {"transcription_id": transcription.id}
    return TranscriptionInProgress("the recording is being transcribed already", details=details)
