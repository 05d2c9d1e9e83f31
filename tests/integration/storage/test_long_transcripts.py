"""Transcripts of very long recordings, in a database whose documents end at 16 MB."""

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcript import Segment, Word, transcript_of
from shared.domain.transcription import TranscriptionRequest, queued_transcription
from shared.storage.mongo_errors import TooLargeToKeep
from shared.storage.transcripts import Transcripts

IN_A_SEGMENT = 10
A_DAY = 24 * 9000  # words


@pytest.fixture
async def transcripts(mongo):
    made = Transcripts(mongo)
    await made.ensure_indexes()
    return made


def a_transcription():
    at = now()
    fields = {"id": new_id("rec"), "project_id": "proj_1", "mode": Mode.LIVE, "status": RecordingStatus.UPLOADED}
    return queued_transcription(new_id("txn"), Recording(**fields, created_at=at, updated_at=at), TranscriptionRequest())


def spoken(count):
    """So many words, each with its times, confidence and speaker."""
    words = [
        Word(
            word=f"word{n * 7919 % 10_007}",
            start=n * 0.4,
            end=n * 0.4 + 0.3,
            confidence=n * 31 % 1000 / 1000,
            speaker="SPEAKER_0",
        )
        for n in range(count)
    ]
    segments = (
        Segment(
            start=words[first].start,
            end=words[first + IN_A_SEGMENT - 1].end,
            text=" ".join(word.word for word in words[first : first + IN_A_SEGMENT]),
            confidence=0.9,
            words=tuple(words[first : first + IN_A_SEGMENT]),
            speaker="SPEAKER_0",
        )
        for first in range(0, count, IN_A_SEGMENT)
    )
    return transcript_of(segments, language="en", duration_ms=round(count * 400))


async def test_a_day_of_speech_is_kept_word_for_word(transcripts):
    transcription, day = a_transcription(), spoken(A_DAY)
    assert await transcripts.put(transcription, day)
    assert await transcripts.get(transcription.tenant, transcription.id) == day
    assert await transcripts.texts(transcription.tenant, [transcription.id]) == {transcription.id: day.text}


async def test_what_is_kept_is_the_last_that_was_put_long_or_short(transcripts):
    transcription, long, short = a_transcription(), spoken(40_000), spoken(20)
    for transcript in (short, long, short, long):
        assert await transcripts.put(transcription, transcript)
        assert await transcripts.get(transcription.tenant, transcription.id) == transcript
    assert not await transcripts.put(msgspec.structs.replace(transcription, job=with_token(transcription, -1)), short)
    assert await transcripts.get(transcription.tenant, transcription.id) == long


async def test_a_short_one_lies_open(transcripts, mongo):
    transcription = a_transcription()
    await transcripts.put(transcription, spoken(20))
    (kept,) = await mongo.database["transcripts"].find().to_list(None)
    assert (kept["packed"], len(kept["transcript"]["segments"])) == (None, 2)


async def test_one_that_was_kept_before_any_were_packed_is_read(transcripts, mongo):
    transcription = a_transcription()
    await transcripts.put(transcription, spoken(20))
    await mongo.database["transcripts"].update_many({}, {"$unset": {"packed": ""}})
    assert await transcripts.get(transcription.tenant, transcription.id) == spoken(20)


async def test_what_no_document_can_hold_is_refused_for_good_and_not_an_outage(transcripts):
    transcription = a_transcription()
    text = "x" * 17_000_000
    whole = transcript_of([Segment(start=0, end=1, text=text, confidence=None, words=())], language="en", duration_ms=1000)
    with pytest.raises(TooLargeToKeep) as raised:
        await transcripts.put(transcription, whole)
    assert raised.value.reason == "processing_error"
    assert await transcripts.get(transcription.tenant, transcription.id) is None


def with_token(transcription, token):
    return msgspec.structs.replace(transcription.job, token=token)
