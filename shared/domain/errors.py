"""The two kinds of failure, and the closed list of reasons for which a recording or a job fails."""

from enum import StrEnum


class FailureReason(StrEnum):
    """Why a recording or a transcription failed; on the wire as `error.code`, never extended ad hoc."""

    CHUNK_MISSING = "chunk_missing"
    CHUNK_EMPTY = "chunk_empty"
    CHUNK_NOT_AUDIO = "chunk_not_audio"
    CHUNK_TRUNCATED = "chunk_truncated"
    CHUNK_CORRUPT = "chunk_corrupt"
    CHUNKS_MIXED = "chunks_mixed"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    CONTENT_HASH_MISMATCH = "content_hash_mismatch"
    OBJECT_MISSING = "object_missing"
    AUDIO_TOO_SHORT = "audio_too_short"
    AUDIO_CORRUPT = "audio_corrupt"
    UNSUPPORTED_FORMAT = "unsupported_format"
    PROVIDER_NOT_CONFIGURED = "provider_not_configured"
    PROCESSING_ERROR = "processing_error"
    CANCELLED = "cancelled"


class TransientFailure(Exception):
    """Something we depend on did not answer; the same work may succeed later (bounded retry)."""


class PermanentFailure(Exception):
    """The input is at fault: trying again gives the same result, so the recording or job fails.

    `reason` comes from the closed list; `chunk_number` (from 1) names the chunk at fault when there is one.
    """

    def __init__(self, reason: FailureReason, message: str, *, chunk_number: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.chunk_number = chunk_number


class AlreadyExists(Exception):
    """Something with the same unique key is there already."""
