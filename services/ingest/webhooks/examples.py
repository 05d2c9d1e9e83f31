"""An example of each event that a webhook may carry, for tests of endpoints: news of things that never were."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from shared.domain.clock import now
from shared.domain.errors import FailureReason
from shared.domain.ids import new_id
from shared.domain.job import Failure
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Tenant
from shared.domain.transcript import Segment, Transcript, Word, transcript_of
from shared.domain.transcription import Transcription, TranscriptionRequest, TranscriptionStatus, queued_transcription
from shared.events.event import Event
from shared.events.payload import body_of
from shared.events.recording import RecordingDeleted, RecordingEvent, recording_event
from shared.events.topics import TOPICS
from shared.events.transcription import TranscriptionCompleted, TranscriptionEvent, transcription_event

_WORDS = ("This", "is", "a", "test.")
_WORD_S = 0.5
_DURATION_MS = 12_400
_FAILURE = Failure(reason=FailureReason.AUDIO_CORRUPT, message="an example of a failure")
_RECORDINGS: Mapping[str, dict[str, Any]] = {
    "recording.created": {"status": RecordingStatus.PENDING, "media": (), "duration_ms": None, "uploaded_at": None},
    "recording.stitched": {"content_sha256": hashlib.sha256(b"an example").hexdigest()},
    "recording.failed": {"status": RecordingStatus.FAILED, "failure": _FAILURE, "duration_ms": None},
}
_TRANSCRIPTIONS: Mapping[str, dict[str, Any]] = {
    "transcription.queued": {},
    "transcription.started": {"status": TranscriptionStatus.PROCESSING},
    "transcription.failed": {"status": TranscriptionStatus.FAILED, "failure": _FAILURE},
    "transcription.completed": {
        "status": TranscriptionStatus.COMPLETED,
        "language": "en",
        "duration_ms": _DURATION_MS,
        "word_count": len(_WORDS),
        "speaker_count": 1,
        "confidence": 0.97,
    },
}
_ENDED = (TranscriptionStatus.COMPLETED, TranscriptionStatus.FAILED)


def example_of(event_type: str, tenant: Tenant) -> Event:
    """Return an example of a public event, of this moment and with ids of its own; it has all that the API would tell so far."""
    kind = TOPICS[event_type].event
    recording = _recording(tenant, _RECORDINGS.get(event_type, {}))
    if kind is RecordingDeleted:
        recording = recording.deleted(urls_end=recording.created_at)
    if issubclass(kind, RecordingEvent):
        return recording_event(kind, recording)
    if issubclass(kind, TranscriptionEvent):
        return transcription_event(kind, _transcription(recording, _TRANSCRIPTIONS[event_type]))
    raise TypeError(f"{event_type} is not for customers")


def body_of_example(event: Event) -> bytes:
    """Return the body of a webhook that carries the example; its data say that it is a test."""
    body = msgspec.json.decode(body_of(event, _transcript() if isinstance(event, TranscriptionCompleted) else None))
    body["data"]["test"] = True
    return msgspec.json.encode(body)


def _recording(tenant: Tenant, fields: Mapping[str, Any]) -> Recording:
    at = now()
    audio = Media(
        id=new_id("med"),
        type=MediaType.AUDIO,
        content_type="audio/ogg",
        object_key="",
        status=MediaStatus.UPLOADED,
        file_size_bytes=49_600,
        created_at=at,
    )
    usual: dict[str, Any] = {
        "status": RecordingStatus.UPLOADED,
        "media": (audio,),
        "duration_ms": _DURATION_MS,
        "uploaded_at": at,
    }
    return Recording(
        id=new_id("rec"),
        project_id=tenant.project_id,
        mode=tenant.mode,
        end_user_id=new_id("eu"),
        name="An example",
        started_at=at - timedelta(milliseconds=_DURATION_MS),
        ended_at=at,
        created_at=at,
        updated_at=at,
        **(usual | dict(fields)),
    )


def _transcription(recording: Recording, fields: Mapping[str, Any]) -> Transcription:
    queued = queued_transcription(new_id("txn"), recording, TranscriptionRequest())
    status, at = fields.get("status", queued.status), queued.created_at
    started_at = None if status is TranscriptionStatus.PENDING else at
    return msgspec.structs.replace(queued, started_at=started_at, completed_at=at if status in _ENDED else None, **fields)


def _transcript() -> Transcript:
    words = tuple(
        Word(word=word, start=number * _WORD_S, end=(number + 1) * _WORD_S, confidence=0.97) for number, word in enumerate(_WORDS)
    )
    segment = Segment(
        start=0.0, end=len(_WORDS) * _WORD_S, text=" ".join(_WORDS), confidence=0.97, words=words, speaker="SPEAKER_0"
    )
    return transcript_of([segment], language="en", duration_ms=_DURATION_MS)
