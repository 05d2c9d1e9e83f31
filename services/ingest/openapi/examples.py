"""One example of each body and resource, consistent with each other; by the name of the Struct.

The ids are of the documented form, the values those of a morning's call: a recording streamed in twelve chunks, transcribed.
"""

from typing import Any

_PROJECT = "proj_01JHZ4Q0V7M3K9T5W8X2Y6ABCD"
_RECORDING = "rec_01JHZ4R3C5N7P9Q1S3T5V7WXYZ"
_TRANSCRIPTION = "txn_01JHZ5D2E4F6G8H0J2K4M6NPQR"
_MEDIA = "med_01JHZ4S8A0B2C4D6E8F0G2HJKM"
_DEVICE = "dev_01JHZ3Y1Z3A5B7C9D1E3F5GHJK"
_END_USER = "eu_01JHZ3X9Y1Z3A5B7C9D1E3FGHJ"
_ENDPOINT = "we_01JHZ3W7X9Y1Z3A5B7C9D1EFGH"
_ORGANIZATION = "org_01JHZ3V5W7X9Y1Z3A5B7C9DEFG"
_KEY = "key_01JHZ3T3V5W7X9Y1Z3A5B7CDEF"
_JOB = "job_stitcher_01JHZ4T9V1W3X5Y7Z9A1B3CDEF"
_OPENED, _CLOSED, _DONE = "2025-01-15T10:00:00.000Z", "2025-01-15T11:00:02.184Z", "2025-01-15T11:04:31.027Z"

_MEDIUM = {
    "id": _MEDIA,
    "type": "audio",
    "mime_type": "audio/ogg",
    "file_size_bytes": 14_382_080,
    "status": "uploaded",
    "captured_at": None,
    "created_at": _CLOSED,
}
_RECORDED = {
    "id": _RECORDING,
    "project_id": _PROJECT,
    "device_id": _DEVICE,
    "end_user_id": _END_USER,
    "name": "Morning call",
    "status": "completed",
    "source": "device",
    "upload_method": "ble",
    "recording_uuid": None,
    "recording_generation": None,
    "encryption_version": None,
    "duration_ms": 3_595_420,
    "duration_seconds": 3595,
    "started_at": _OPENED,
    "ended_at": "2025-01-15T10:59:55.420Z",
    "recorded_at": None,
    "transcription_id": _TRANSCRIPTION,
    "media": [_MEDIUM],
    "metadata": {"room": "12"},
    "stitching": {"status": "completed", "job_id": _JOB},
    "error": None,
    "content_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "content_sha256_verified_at": _CLOSED,
    "uploaded_at": _CLOSED,
    "created_at": _OPENED,
    "updated_at": _DONE,
    "deleted_at": None,
}
_SEGMENT = {
    "start": 0.32,
    "end": 2.1,
    "text": "Good morning, everyone.",
    "confidence": 0.94,
    "words": [
        {"word": "Good", "start": 0.32, "end": 0.61, "confidence": 0.97, "speaker": "SPEAKER_0"},
        {"word": "morning,", "start": 0.61, "end": 1.2, "confidence": 0.95, "speaker": "SPEAKER_0"},
        {"word": "everyone.", "start": 1.2, "end": 2.1, "confidence": 0.9, "speaker": "SPEAKER_0"},
    ],
    "speaker": "SPEAKER_0",
}

EXAMPLES: dict[str, Any] = {
    "BindDevice": {"end_user_id": _END_USER},
    "CompleteUpload": {"content_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    "CreateEndUser": {"external_id": "employee-4711", "name": "Jo", "email": "jo@example.com"},
    "CreateEndpoint": {"url": "https://example.com/hooks", "events": ["recording.uploaded", "transcription.completed"]},
    "CreateKey": {"mode": "test", "name": "nightly import", "scopes": ["recordings:read", "recordings:write"]},
    "CreateOrganization": {"name": "Example"},
    "CreateProject": {"organization_id": _ORGANIZATION, "name": "Meetings"},
    "CreateRecording": {"device_id": _DEVICE, "end_user_id": _END_USER, "name": "Morning call", "streaming": True},
    "CreateTranscription": {"recording_id": _RECORDING, "language": "en", "provider": "whisper"},
    "EndpointView": {
        "id": _ENDPOINT,
        "url": "https://example.com/hooks",
        "events": ["recording.uploaded", "transcription.completed"],
        "description": None,
        "status": "enabled",
        "disabled_reason": None,
        "disabled_at": None,
        "failing_since": None,
        "metadata": {},
        "created_at": _OPENED,
        "updated_at": _OPENED,
    },
    "ErrorEnvelope": {
        "error": {
            "code": "chunk_count_mismatch",
            "type": "chunk_count_mismatch",
            "message": "12 chunks were announced, 11 are stored",
            "details": {"expected_chunks": 12, "received_chunks": 11, "missing_chunks": [7], "unexpected_chunks": []},
            "request_id": "req_01JHZ4V1W3X5Y7Z9A1B3C5DEFG",
        }
    },
    "FinalizeRecording": {"total_chunks": 12, "final_duration_ms": 3_595_420},
    "FinalizeView": {
        "id": _RECORDING,
        "status": "uploaded",
        "transcription_status": "queued",
        "chunks_received": 12,
        "stitching_job_id": _JOB,
    },
    "KeyView": {
        "id": _KEY,
        "project_id": _PROJECT,
        "mode": "test",
        "kind": "restricted",
        "name": "nightly import",
        "scopes": ["recordings:read", "recordings:write"],
        "hint": "rk_test_…x7Qe",
        "created_at": _OPENED,
        "expires_at": None,
        "last_used_at": None,
        "revoked_at": None,
    },
    "MediaResource": _MEDIUM,
    "OrganizationView": {"id": _ORGANIZATION, "name": "Example", "created_at": _OPENED},
    "ProjectView": {"id": _PROJECT, "organization_id": _ORGANIZATION, "name": "Meetings", "created_at": _OPENED},
    "RecordingResource": _RECORDED,
    "RegisterDevice": {"serial_number": "EW-000042", "model": "bota_pin"},
    "RequestChunkUrls": {"from": 1, "count": 12},
    "RequestUpload": {"type": "audio", "content_type": "audio/wav", "file_size_bytes": 1_764_044},
    "Segment": _SEGMENT,
    "StoredChunkView": {"recording_id": _RECORDING, "chunk_number": 1, "file_size_bytes": 1_228_800},
    "Transcribe": {"language": "en", "diarization": True, "provider": "whisper"},
    "TranscriptionView": {
        "id": _TRANSCRIPTION,
        "project_id": _PROJECT,
        "recording_id": _RECORDING,
        "status": "completed",
        "language": "en",
        "provider": "whisper",
        "diarization": True,
        "duration_ms": 3_595_420,
        "word_count": 3,
        "confidence": 0.94,
        "error": None,
        "error_message": None,
        "created_at": _CLOSED,
        "updated_at": _DONE,
        "started_at": _CLOSED,
        "completed_at": _DONE,
        "deleted_at": None,
        "text": "Good morning, everyone.",
        "full_text": "Good morning, everyone.",
        "segments": [_SEGMENT],
        "queue_position": None,
        "estimated_start_at": None,
    },
    "UploadUrlView": {
        "media_id": _MEDIA,
        "upload_token": "up_q7Jw3VdF8sK1mZ5xT9bN2cR6yG4hL0pQ",
        "upload_url": "https://store.example/audio/proj/rec/med/audio.wav?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=…",
        "content_type": "audio/wav",
        "headers": {"Content-Type": "audio/wav"},
        "expires_at": _CLOSED,
        "expires_in": 3600,
    },
}
