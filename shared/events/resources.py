"""Resources as the API returns them and as webhooks carry them: the superset of section 6.0 and A13 of the contract."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from shared.domain.clock import wire_time, wire_time_or_none
from shared.domain.job import Failure, JobKind, JobStatus
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.transcription import ProviderName, Transcription, TranscriptionStatus
from shared.domain.wire import an_id, one_of


class MediaResource(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a recording."""

    id: Annotated[str, an_id("med")]
    type: Annotated[str, one_of(MediaType)]
    mime_type: str
    file_size_bytes: int | None
    status: Annotated[str, one_of(MediaStatus)]
    captured_at: str | None
    created_at: str


class StitchingResource(msgspec.Struct, frozen=True, kw_only=True):
    """How far the joining of a streaming recording's chunks is."""

    status: Annotated[str, one_of(JobStatus)]
    job_id: Annotated[str, an_id("job_stitcher")]


class ErrorResource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a recording or a transcription failed, and at which chunk (from 1) when one is at fault."""

    code: str
    message: str
    chunk_number: int | None = None


class RecordingResource(msgspec.Struct, frozen=True, kw_only=True):
    """A recording on the wire; `mime_type` and `file_size_bytes` are those of its audio, for clients that know no `media`."""

    id: Annotated[str, an_id("rec")]
    project_id: str
    device_id: str | None
    end_user_id: str | None
    name: str | None
    status: Annotated[str, one_of(RecordingStatus)]
    source: str | None
    upload_method: str | None
    recording_uuid: str | None
    recording_generation: int | None
    encryption_version: None = None
    duration_ms: int | None
    duration_seconds: int | None
    started_at: str | None
    ended_at: str | None
    recorded_at: str | None
    transcription_id: str | None
    media: tuple[MediaResource, ...]
    mime_type: str | UnsetType | None = UNSET
    file_size_bytes: int | UnsetType | None = UNSET
    metadata: dict[str, Any]
    stitching: StitchingResource | None
    error: ErrorResource | None
    content_sha256: str | None
    content_sha256_verified_at: str | None
    uploaded_at: str | None
    created_at: str
    updated_at: str
    deleted_at: str | None


class ProgressResource(msgspec.Struct, frozen=True, kw_only=True):
    """How far a transcription is: `percent` reaches 100 when it is completed."""

    percent: int
    stage: str
    estimated_completion_at: str | None


class TranscriptionResource(msgspec.Struct, frozen=True, kw_only=True):
    """A transcription on the wire, without its text, which `Transcript` keeps."""

    id: Annotated[str, an_id("txn")]
    project_id: str
    recording_id: str
    status: Annotated[str, one_of(TranscriptionStatus)]
    language: str | None
    provider: Annotated[str, one_of(ProviderName)]
    diarization: bool
    num_speakers: int | UnsetType | None = UNSET
    multichannel: bool | UnsetType = UNSET
    redact: tuple[str, ...] | UnsetType = UNSET
    duration_ms: int | None
    word_count: int | None
    speaker_count: int | UnsetType | None = UNSET
    confidence: float | None
    progress: ProgressResource | UnsetType | None = UNSET
    error: ErrorResource | None
    error_message: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    completed_at: str | None
    deleted_at: str | None


def error_resource(failure: Failure | None) -> ErrorResource | None:
    """Show why something failed, if it did."""
    if failure is None:
        return None
    return ErrorResource(code=failure.reason, message=failure.message, chunk_number=failure.chunk_number)


def media_resource(media: Media) -> MediaResource:
    """Show one file of a recording."""
    return MediaResource(
        id=media.id,
        type=media.type,
        mime_type=media.content_type,
        file_size_bytes=media.file_size_bytes,
        status=media.status,
        captured_at=wire_time_or_none(media.captured_at),
        created_at=wire_time(media.created_at),
    )


def recording_resource(recording: Recording) -> RecordingResource:
    """Show a recording as it stands."""
    job, audio = recording.job, recording.audio if recording.media else None
    stitching = recording.streaming and job is not None and job.kind is JobKind.STITCH
    return RecordingResource(
        id=recording.id,
        project_id=recording.project_id,
        device_id=recording.device_id,
        end_user_id=recording.end_user_id,
        name=recording.name,
        status=recording.status,
        source=recording.source,
        upload_method=recording.upload_method,
        recording_uuid=recording.recording_uuid,
        recording_generation=recording.recording_generation,
        duration_ms=recording.duration_ms,
        duration_seconds=None if recording.duration_ms is None else round(recording.duration_ms / 1000),
        started_at=wire_time_or_none(recording.started_at),
        ended_at=wire_time_or_none(recording.ended_at),
        recorded_at=wire_time_or_none(recording.recorded_at),
        transcription_id=recording.transcription_id,
        media=tuple(media_resource(media) for media in recording.media),
        mime_type=None if audio is None else audio.content_type,
        file_size_bytes=None if audio is None else audio.file_size_bytes,
        metadata=recording.metadata,
        stitching=StitchingResource(status=job.status, job_id=job.id) if stitching and job else None,
        error=error_resource(recording.failure),
        content_sha256=recording.content_sha256,
        content_sha256_verified_at=wire_time_or_none(recording.content_sha256_verified_at),
        uploaded_at=wire_time_or_none(recording.uploaded_at),
        created_at=wire_time(recording.created_at),
        updated_at=wire_time(recording.updated_at),
        deleted_at=wire_time_or_none(recording.deleted_at),
    )


def transcription_resource(transcription: Transcription) -> TranscriptionResource:
    """Show a transcription as it stands, without its text."""
    return TranscriptionResource(
        id=transcription.id,
        project_id=transcription.project_id,
        recording_id=transcription.recording_id,
        status=transcription.status,
        language=transcription.language or transcription.requested_language,
        provider=transcription.provider,
        diarization=transcription.diarization,
        num_speakers=transcription.options.num_speakers,
        multichannel=transcription.options.multichannel,
        redact=transcription.options.redact,
        duration_ms=transcription.duration_ms,
        word_count=transcription.word_count,
        speaker_count=transcription.speaker_count,
        confidence=transcription.confidence,
        progress=_progress(transcription),
        error=error_resource(transcription.failure),
        error_message=transcription.failure.message if transcription.failure else None,
        created_at=wire_time(transcription.created_at),
        updated_at=wire_time(transcription.updated_at),
        started_at=wire_time_or_none(transcription.started_at),
        completed_at=wire_time_or_none(transcription.completed_at),
        deleted_at=wire_time_or_none(transcription.deleted_at),
    )


def _progress(transcription: Transcription) -> ProgressResource | None:
    """Show how far it is; nothing of one that failed."""
    progress = transcription.progress
    if transcription.status is TranscriptionStatus.PROCESSING and progress is not None:
        ends_at = wire_time_or_none(progress.estimated_completion_at)
        return ProgressResource(percent=progress.percent, stage=progress.stage, estimated_completion_at=ends_at)
    return _UNDIVIDED.get(transcription.status)


_UNDIVIDED = {
    TranscriptionStatus.PENDING: ProgressResource(percent=0, stage="queued", estimated_completion_at=None),
    TranscriptionStatus.PROCESSING: ProgressResource(percent=0, stage="starting", estimated_completion_at=None),
    TranscriptionStatus.COMPLETED: ProgressResource(percent=100, stage="completed", estimated_completion_at=None),
}
