"""Recordings as a finalize leaves them, without one."""

from shared.domain.clock import now
from shared.domain.recording import Finalization, Recording, RecordingStatus


def finalized(recording: Recording, job_id: str) -> Recording:
    """Return the next version of a streaming recording, closed with one chunk by the finalize of this job."""
    how = Finalization(
        total_chunks=1,
        duration_ms=1,
        checksum_md5=None,
        file_size_bytes=None,
        chunks_received=1,
        stitching_job_id=job_id,
        finalized_at=now(),
        urls_end=now(),
    )
    return recording.changed(status=RecordingStatus.UPLOADED, finalization=how, closing_until=None, closing_by=())
