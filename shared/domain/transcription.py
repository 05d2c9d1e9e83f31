"""The transcription: a job on a recording, and its state table; the text itself is a `Transcript`, kept apart."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.clock import now
from shared.domain.ids import derived_id
from shared.domain.job import Failure, Job, JobKind, Lane
from shared.domain.recording import Recording
from shared.domain.tenant import Mode, Tenant
from shared.domain.transition import check_move


class TranscriptionStatus(StrEnum):
    """The statuses on the wire (contract 9.2)."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class ProviderName(StrEnum):
    """The four providers the contract names (A13)."""

    WHISPER = "whisper"
    DEEPGRAM = "deepgram"
    ASSEMBLYAI = "assemblyai"
    ELEVENLABS = "elevenlabs"


class Priority(StrEnum):
    """What goes first within a project; the default lies between."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


PRIORITIES: Mapping[Priority, int] = {Priority.LOW: -1, Priority.NORMAL: 0, Priority.HIGH: 1}
"""The priorities as numbers, as jobs carry them."""


class Redaction(StrEnum):
    """What may be hidden in a transcript."""

    NUMBERS = "numbers"
    PROFANITY = "profanity"


class SpeechOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller knows or wants of a transcription, beside its language.

    `num_speakers`: how many people speak. `multichannel`: each channel is one of them. `prompt` and `vocabulary`: what it is
    about, and words that are likely to be said. `redact`: what the transcript must not show.
    """

    num_speakers: int | None = None
    multichannel: bool = False
    prompt: str | None = None
    vocabulary: tuple[str, ...] = ()
    redact: tuple[Redaction, ...] = ()


FOLLOWS: Mapping[TranscriptionStatus, frozenset[TranscriptionStatus]] = {
    TranscriptionStatus.PENDING: frozenset({TranscriptionStatus.PROCESSING, TranscriptionStatus.FAILED}),
    TranscriptionStatus.PROCESSING: frozenset(
        {TranscriptionStatus.PROCESSING, TranscriptionStatus.COMPLETED, TranscriptionStatus.FAILED}
    ),
    TranscriptionStatus.COMPLETED: frozenset(),
    TranscriptionStatus.FAILED: frozenset(),
}
"""Which status may follow which; `PROCESSING` may be re-entered by a worker that takes a job over."""


class RemoteJob(msgspec.Struct, frozen=True, kw_only=True):
    """An order at a provider on the network, kept before it is placed and again before it is waited on.

    `job_id` is the provider's own, None until it has answered; `failures` counts the exchanges that failed in a row. `sent_at` is
    when an order was last sent whose result comes in the same exchange, None again when the provider surely did not take it.
    Where the result comes to a callback, `asked_at` is what `sent_at` is elsewhere, and `answered_at` is when the result had come
    and was stored. `whole`: each channel was to be a speaker, but all are the same, and were ordered to be heard as one.
    """

    provider: ProviderName
    placed_at: datetime
    job_id: str | None = None
    failures: int = 0
    sent_at: datetime | None = None
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    whole: bool = False


class TranscriptionProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the work is while it runs: `percent` from 0 to 99, what is being done, and when it may end."""

    percent: int
    stage: str
    estimated_completion_at: datetime | None
    updated_at: datetime


class Transcription(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """A transcription as MongoDB keeps it; `active` holds while it is pending or processing: one a recording, by index.

    `automatic`: nobody asked for it by name, it follows from the upload. `tried` lists the providers that failed; the one that is
    tried after them becomes `provider`.
    """

    id: str
    project_id: str
    mode: Mode
    recording_id: str
    version: int = 1
    status: TranscriptionStatus = TranscriptionStatus.PENDING
    active: bool = True
    automatic: bool = False
    provider: ProviderName = ProviderName.WHISPER
    requested_language: str | None = None
    language: str | None = None
    diarization: bool = True
    options: SpeechOptions = SpeechOptions()
    duration_ms: int | None = None
    word_count: int | None = None
    speaker_count: int | None = None
    confidence: float | None = None
    failure: Failure | None = None
    progress: TranscriptionProgress | None = None
    remote: RemoteJob | None = None
    tried: tuple[ProviderName, ...] = ()
    job: Job
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose transcription it is."""
        return Tenant(self.project_id, self.mode)

    def changed(self, **fields: Any) -> "Transcription":  # noqa: ANN401 - the fields of the struct itself, checked by msgspec
        """Return the next version with `fields` set; a `status` among them must be allowed by the table."""
        status = fields.get("status", self.status)
        if status is not self.status:
            check_move(FOLLOWS, self.id, self.status, status)
        return msgspec.structs.replace(self, version=self.version + 1, updated_at=now(), **fields)

    def answered(self, at: datetime) -> "Transcription":
        """Return it with its provider's answer come; where nobody holds its job, that may be claimed at once."""
        return self.changed(remote=self.remote and msgspec.structs.replace(self.remote, answered_at=at), job=self.job.woken(at))


class TranscriptionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a transcription is to be made with; `language` None: detected."""

    provider: ProviderName = ProviderName.WHISPER
    language: str | None = None
    diarization: bool = True
    options: SpeechOptions = SpeechOptions()
    priority: Priority = Priority.NORMAL


def lane_of(provider: ProviderName) -> Lane:
    """Return which workers do what is asked of the provider."""
    return Lane.HERE if provider is ProviderName.WHISPER else Lane.ELSEWHERE


def queued_transcription(transcription_id: str, recording: Recording, request: TranscriptionRequest) -> Transcription:
    """Return a new transcription of `recording`, waiting for a worker."""
    at = now()
    return Transcription(
        id=transcription_id,
        project_id=recording.project_id,
        mode=recording.mode,
        recording_id=recording.id,
        provider=request.provider,
        requested_language=request.language,
        diarization=request.diarization,
        options=request.options,
        job=Job(
            id=derived_id("job", transcription_id, "transcribe"),
            kind=JobKind.TRANSCRIBE,
            lane=lane_of(request.provider),
            priority=PRIORITIES[request.priority],
            queued_at=at,
            available_at=at,
        ),
        created_at=at,
        updated_at=at,
    )
