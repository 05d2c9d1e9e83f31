"""The verb of a claimed hash: read the object, compare, and let the recording pass or fail."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from services.stitcher.ports import AudioStore, AudioWorker, Claims
from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.ids import derived_id
from shared.domain.job import Job, JobKind, JobStatus
from shared.domain.media import MediaStatus, main_file
from shared.domain.recording import Recording, RecordingStatus
from shared.events.event import Event
from shared.events.recording import recording_uploaded
from shared.uploads import fetch_upload


class VerifyUpload:
    """Hashes the main file of a claimed recording; equal: it is uploaded and its stitch job queued."""

    def __init__(self, store: AudioStore, worker: AudioWorker, claims: Claims, spool: Path) -> None:
        self._store, self._worker, self._claims, self._spool = store, worker, claims, spool

    async def __call__(self, recording: Recording) -> Recording:
        """Verify the claim; raises `PermanentFailure` (content_hash_mismatch) when the bytes are others."""
        claim = recording.hash_claim
        if claim is None or not recording.media:
            raise PermanentFailure(FailureReason.OBJECT_MISSING, "there is no upload to verify")
        media = main_file(recording.media)
        with tempfile.TemporaryDirectory(dir=self._spool, prefix=f"{recording.id}-") as folder:
            path = Path(folder) / "whole"
            await fetch_upload(self._store, media, path)
            digest = await self._worker.sha256(path)
        if digest != claim.content_sha256:
            raise PermanentFailure(FailureReason.CONTENT_HASH_MISMATCH, "the upload's SHA-256 is not the one declared")
        return await self._claims.finish(recording, _verified)


def _verified(present: Recording) -> tuple[Recording, Sequence[Event]]:
    at = now()
    stored = tuple(msgspec.structs.replace(media, status=MediaStatus.UPLOADED) for media in present.media)
    claim, job_id = present.hash_claim, derived_id("job_stitcher", present.id, present.version)
    after = present.changed(
        status=RecordingStatus.UPLOADED,
        media=stored,
        content_sha256=claim and claim.content_sha256,
        content_sha256_verified_at=at,
        uploaded_at=at,
        job=Job(id=job_id, kind=JobKind.STITCH, status=JobStatus.QUEUED, queued_at=at, available_at=at),
    )
    return after, (recording_uploaded(after, 0),)
