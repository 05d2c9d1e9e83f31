"""What a job that is taken over shows of the work of whoever had it."""

import msgspec
import pytest

from services.transcriber.job_rules import TranscriptionJobRules
from shared.domain.clock import now
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcription import (
    ProviderName,
    RemoteJob,
    TranscriptionProgress,
    TranscriptionRequest,
    TranscriptionStatus,
    queued_transcription,
)

HALF_WAY = TranscriptionProgress(percent=50, stage="transcribing", estimated_completion_at=None, updated_at=now())


@pytest.mark.parametrize(
    ("remote", "shown"),
    [(None, None), (RemoteJob(provider=ProviderName.ASSEMBLYAI, placed_at=now()), HALF_WAY)],
    ids=["here", "ordered"],
)
def test_work_taken_over_begins_anew_and_an_order_goes_on(remote, shown):
    at = now()
    recording = Recording(
        id="rec_1", project_id="proj_1", mode=Mode.LIVE, status=RecordingStatus.UPLOADED, created_at=at, updated_at=at
    )
    queued = queued_transcription("txn_1", recording, TranscriptionRequest())
    before = msgspec.structs.replace(queued, status=TranscriptionStatus.PROCESSING, progress=HALF_WAY, remote=remote)
    after, events = TranscriptionJobRules().claimed(before, before.job)
    assert (after.status, after.progress, events) == (TranscriptionStatus.PROCESSING, shown, ())
