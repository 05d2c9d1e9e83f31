"""Endpoints, events and transcripts for the tests of the webhook stage."""

from datetime import timedelta

from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcript import Segment, Word, transcript_of
from shared.domain.transcription import TranscriptionRequest, TranscriptionStatus, queued_transcription
from shared.domain.webhook import EndpointSecret, WebhookEndpoint, new_signing_secret
from shared.events.recording import RecordingCreated, recording_event, recording_uploaded
from shared.events.transcription import TranscriptionCompleted, transcription_event

TENANT = Tenant("proj_1", Mode.LIVE)


def an_endpoint(url, events=("*",), **fields):
    at = now()
    defaults = {
        "id": new_id("we"),
        "project_id": TENANT.project_id,
        "mode": TENANT.mode,
        "url": url,
        "events": tuple(events),
        "secrets": (EndpointSecret(value=new_signing_secret(), created_at=at),),
        "created_at": at,
        "updated_at": at,
    }
    return WebhookEndpoint(**(defaults | fields))


def a_recording(**fields):
    at = now()
    audio = Media(
        id=new_id("med"),
        type=MediaType.AUDIO,
        content_type="audio/wav",
        object_key="k",
        status=MediaStatus.UPLOADED,
        file_size_bytes=59_120,
        created_at=at,
    )
    defaults = {
        "id": new_id("rec"),
        "project_id": TENANT.project_id,
        "mode": TENANT.mode,
        "status": RecordingStatus.UPLOADED,
        "duration_ms": 1_847_500,
        "media": (audio,),
        "metadata": {"room": "Zürich", "nested": {"n": [1, 2.5, None]}},
        "uploaded_at": at,
        "created_at": at,
        "updated_at": at,
    }
    return Recording(**(defaults | fields))


def an_upload(**fields):
    return recording_uploaded(a_recording(**fields), chunk_count=0)


def a_creation(**fields):
    return recording_event(RecordingCreated, a_recording(status=RecordingStatus.PENDING, media=(), **fields))


def an_old_upload(age_s):
    return an_upload(updated_at=now() - timedelta(seconds=age_s))


def a_transcription(**fields):
    recording = a_recording()
    queued = queued_transcription(new_id("txn"), recording, TranscriptionRequest())
    processing = queued.changed(status=TranscriptionStatus.PROCESSING, started_at=now())
    return processing.changed(status=TranscriptionStatus.COMPLETED, active=False, completed_at=now(), **fields)


def a_completion(transcription=None):
    return transcription_event(TranscriptionCompleted, transcription or a_transcription())


def a_transcript(words=3):
    spoken = tuple(Word(word=f"word{n}", start=n * 0.5, end=n * 0.5 + 0.4, confidence=0.9) for n in range(words))
    text = " ".join(word.word for word in spoken)
    segment = Segment(start=0.0, end=words * 0.5, text=text, confidence=0.9, words=spoken, speaker="SPEAKER_0")
    return transcript_of([segment], language="en", duration_ms=words * 500 + 1000)
