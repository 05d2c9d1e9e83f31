"""Transcripts of one transcription that are stored at the same moment: the newest stands, whichever MongoDB took first."""

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcript import Segment, transcript_of
from shared.domain.transcription import TranscriptionRequest, queued_transcription
from shared.storage.documents import Documents
from shared.storage.transcripts import StoredTranscript, Transcripts


class Overtaken(Documents):
    """Another write comes to be between where an upsert has looked, and found nothing, and where it inserts."""

    other = None

    async def update(self, where, change, *, upsert=False, hasty=False):
        if upsert and self.other is not None:
            other, self.other = self.other, None
            await other
            where = where | {"$nor": [{}]}  # as it was before
        return await super().update(where, change, upsert=upsert, hasty=hasty)


@pytest.fixture
def transcripts(mongo):
    made = Transcripts(mongo)
    made._documents = Overtaken(mongo.database["transcripts"], StoredTranscript)
    return made


def claimed(times):
    """A transcription as it was claimed the first time, the second …"""
    at = now()
    fields = {"id": new_id("rec"), "project_id": "proj_1", "mode": Mode.LIVE, "status": RecordingStatus.UPLOADED}
    queued = queued_transcription(new_id("txn"), Recording(**fields, created_at=at, updated_at=at), TranscriptionRequest())
    jobs = [msgspec.structs.replace(queued.job, token=number + 1) for number in range(times)]
    return [msgspec.structs.replace(queued, job=job) for job in jobs]


def saying(text):
    said = Segment(start=0.0, end=1.0, text=text, confidence=None, words=())
    return transcript_of([said], language="en", duration_ms=1000)


async def test_the_whole_text_is_kept_beside_the_first_part_of_it(transcripts):
    (claim,) = claimed(1)
    transcripts._documents.other = transcripts.put(claim, saying("a part"), whole=False)
    assert await transcripts.put(claim, saying("a part of the whole"))
    assert (await transcripts.get(claim.tenant, claim.id)).text == "a part of the whole"


async def test_the_first_part_of_it_does_not_replace_the_whole_text(transcripts):
    (claim,) = claimed(1)
    transcripts._documents.other = transcripts.put(claim, saying("a part of the whole"))
    assert not await transcripts.put(claim, saying("a part"), whole=False)
    assert (await transcripts.get(claim.tenant, claim.id)).text == "a part of the whole"


@pytest.mark.parametrize("newest", [0, 1])
async def test_the_newest_claim_keeps_its_text_beside_an_older_one(transcripts, newest):
    claims = claimed(2)
    claim, other = claims[newest], claims[1 - newest]
    transcripts._documents.other = transcripts.put(other, saying(f"claim {1 - newest}"))
    assert await transcripts.put(claim, saying(f"claim {newest}")) is bool(newest)
    assert (await transcripts.get(claim.tenant, claim.id)).text == "claim 1"
