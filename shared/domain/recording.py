"""The recording: its state table and everything a document of it holds."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.clock import now
from shared.domain.job import Failure, Job
from shared.domain.media import Media, MediaStatus, MediaType, main_file
from shared.domain.tenant import Mode, Tenant
from shared.domain.transition import check_move


class RecordingStatus(StrEnum):
    """The statuses on the wire (contract A6)."""

    PENDING = "pending"
    STREAMING = "streaming"
    UPLOADED = "uploaded"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    INTEGRITY_FAILURE = "integrity_failure"


FOLLOWS: Mapping[RecordingStatus, frozenset[RecordingStatus]] = {
    RecordingStatus.PENDING: frozenset({RecordingStatus.UPLOADED, RecordingStatus.INTEGRITY_FAILURE, RecordingStatus.FAILED}),
    RecordingStatus.STREAMING: frozenset({RecordingStatus.UPLOADED, RecordingStatus.FAILED}),
    RecordingStatus.UPLOADED: frozenset({RecordingStatus.PROCESSING, RecordingStatus.FAILED, RecordingStatus.INTEGRITY_FAILURE}),
    # Back to `UPLOADED` when its transcription was cancelled: another may be started.
    RecordingStatus.PROCESSING: frozenset(
        {RecordingStatus.PROCESSING, RecordingStatus.COMPLETED, RecordingStatus.FAILED, RecordingStatus.UPLOADED}
    ),
    RecordingStatus.COMPLETED: frozenset({RecordingStatus.PROCESSING}),
    RecordingStatus.FAILED: frozenset(),
    # A whole file whose hash was wrong is uploaded anew and completed again (contract section 6.5).
    RecordingStatus.INTEGRITY_FAILURE: frozenset({RecordingStatus.UPLOADED}),
}
"""Which status may follow which; `PROCESSING` may be re-entered by a worker that takes a job over."""

TRANSCRIBABLE = frozenset({RecordingStatus.UPLOADED, RecordingStatus.COMPLETED})
"""The statuses from which a transcription may be started (contract A12)."""


class HashClaim(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says its upload hashes to, and of which file it says so; the stitcher checks it (contract A9).

    An earlier release did not note the file: its claims are of none.
    """

    content_sha256: str
    media_id: str | None = None


class Finalization(msgspec.Struct, frozen=True, kw_only=True):
    """How a streaming upload was closed: the parameters, for recognising a repeat, and what the answer said.

    The manifest names the uploads that are joined: kept in the recording's document, or where there are too many, an object, by
    key and etag. `urls_end` is when no pre-signed URL can store a chunk any more, nor a PUT that began while one was good.
    """

    total_chunks: int
    duration_ms: int
    checksum_md5: str | None
    file_size_bytes: int | None
    chunks_received: int
    stitching_job_id: str
    finalized_at: datetime
    manifest_key: str | None = None
    manifest_etag: str | None = None
    urls_end: datetime


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """The erasing of a deleted recording: when to sweep next, and until when something may still be stored for it.

    A pre-signed URL outlives the recording, so one sweep is not enough; the last is at `until` or later.
    """

    due_at: datetime
    until: datetime


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """What of a recording decides whether it takes chunks: read for every chunk, so it is little."""

    project_id: str
    mode: Mode
    status: RecordingStatus
    streaming: bool = False
    closing_until: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose recording it is."""
        return Tenant(self.project_id, self.mode)


class RecordingVersion(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """Which version of a recording stands; whatever clients see of it follows from that version."""

    id: str
    version: int


class Recording(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """A recording as MongoDB keeps it. `version` grows with every write; `outbox` is handled by the storage alone.

    `closing_until` is set while finalizes look at the chunks, those whose marks are in `closing_by`; it ends by itself if they
    die. No chunk is acknowledged meanwhile. To clients it changes nothing, so it makes no new version. `sweep_at` is when to
    delete what was stored for a streaming upload and is not needed (any more); None for never. `transcription_due` is set when
    audio is ready and nobody has yet decided whether to transcribe it by itself. `transcription_version` is the version of the
    transcription last reflected in `status`. `erasure` is there once the recording is deleted, until nothing is left of it.
    """

    id: str
    project_id: str
    mode: Mode
    version: int = 1
    status: RecordingStatus
    streaming: bool = False
    device_id: str | None = None
    end_user_id: str | None = None
    name: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    recorded_at: datetime | None = None
    source: str | None = None
    upload_method: str | None = None
    recording_uuid: str | None = None
    recording_generation: int | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    duration_ms: int | None = None
    media: tuple[Media, ...] = ()
    content_sha256: str | None = None
    content_sha256_verified_at: datetime | None = None
    hash_claim: HashClaim | None = None
    closing_until: datetime | None = None
    closing_by: tuple[str, ...] = ()
    finalization: Finalization | None = None
    job: Job | None = None
    failure: Failure | None = None
    transcription_id: str | None = None
    transcription_version: int = 0
    transcription_due: bool = False
    sweep_at: datetime | None = None
    uploaded_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    erasure: Erasure | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose recording it is."""
        return Tenant(self.project_id, self.mode)

    @property
    def found_wrong(self) -> HashClaim | None:
        """The claim that one of its files was found not to be as declared by, while that is so."""
        return self.hash_claim if self.status is RecordingStatus.INTEGRITY_FAILURE else None

    @property
    def audio(self) -> Media | None:
        """The audio to transcribe: the newest stored audio, else the newest stored video, else nothing."""
        heard = [media for media in self.media if media.status is MediaStatus.UPLOADED and media.type is not MediaType.IMAGE]
        return main_file(heard) if heard else None

    def changed(self, **fields: Any) -> "Recording":  # noqa: ANN401 - the fields of the struct itself, checked by msgspec
        """Return the next version with `fields` set; a `status` among them must be allowed by the table."""
        status = fields.get("status", self.status)
        if status is not self.status:
            check_move(FOLLOWS, self.id, self.status, status)
        return msgspec.structs.replace(self, version=self.version + 1, updated_at=now(), **fields)

    def deleted(self, urls_end: datetime) -> "Recording":
        """Return the recording deleted, in whatever status: its job is lost, its name and metadata are gone at once.

        `urls_end` is when the last pre-signed URL by which something can be stored for it has ended.
        """
        at = now()
        return self.changed(
            name=None,
            metadata={},
            job=self.job and self.job.stopped(),
            transcription_due=False,
            sweep_at=None,
            deleted_at=at,
            erasure=Erasure(due_at=at, until=urls_end),
        )

    def with_media(self, media: Media) -> "tuple[Media, ...]":
        """Return the media with `media` in place of the one of the same id, or added at the end."""
        others = [media if item.id == media.id else item for item in self.media]
        return tuple(others) if media in others else (*others, media)
