"""Transcriptions listed and exported (contract A13, A14, A16)."""

import json

import msgspec
import pytest
import srt
import webvtt

from shared.domain.ids import new_id
from shared.domain.tenant import Tenant
from shared.domain.transcript import Segment, Word, transcript_of
from shared.domain.transcription import TranscriptionRequest, TranscriptionStatus, queued_transcription
from tests.component.ingest.uploading import completed


def spoken(text="Hello <there> & you", speaker="SPEAKER_0"):
    words = tuple(
        Word(word=word, start=float(index), end=index + 0.8, confidence=0.9, speaker=speaker)
        for index, word in enumerate(text.split())
    )
    segment = Segment(start=0.0, end=words[-1].end, text=text, confidence=0.9, words=words, speaker=speaker)
    return transcript_of([segment], language="en", duration_ms=10_000)


async def transcribed(api, recording=None, status=TranscriptionStatus.COMPLETED, transcript=None):
    """A transcription in some status, as the transcriber leaves it; its id."""
    recording = recording or await completed(api)
    present = api.stores.recordings.documents[recording["id"]]
    queued = queued_transcription(new_id("txn"), present, TranscriptionRequest())
    done = msgspec.structs.replace(queued, status=status, active=False)
    api.stores.transcriptions.documents[done.id] = done
    if status is TranscriptionStatus.COMPLETED:
        api.stores.transcripts.kept[Tenant(api.project_id), done.id] = transcript or spoken()
    return done.id


async def export(api, transcription_id, form, **options):
    return await api.call("GET", f"/transcriptions/{transcription_id}/export?format={form}", **options)


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        ("txt", "text/plain; charset=utf-8"),
        ("srt", "application/x-subrip; charset=utf-8"),
        ("vtt", "text/vtt; charset=utf-8"),
        ("json", "application/json"),
    ],
)
async def test_an_export_is_a_file_of_its_kind(api, form, media_type):
    transcription_id = await transcribed(api)
    answer = await export(api, transcription_id, form)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["content-disposition"] == f'attachment; filename="{transcription_id}.{form}"'
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_text_formats_say_what_was_said(api):
    transcription_id = await transcribed(api)
    assert (await export(api, transcription_id, "txt")).text == "SPEAKER_0: Hello <there> & you\n"
    (cue,) = srt.parse((await export(api, transcription_id, "srt")).text, ignore_errors=False)
    assert cue.content.replace("\u2060", "") == "SPEAKER_0: Hello <there> & you"
    (caption,) = webvtt.from_string((await export(api, transcription_id, "vtt")).text).captions
    assert (caption.start, caption.voice) == ("00:00:00.000", "SPEAKER_0")


async def test_the_json_export_is_the_transcription(api):
    transcription_id = await transcribed(api)
    exported = json.loads((await export(api, transcription_id, "json")).content)
    assert exported == await api.ok("GET", f"/transcriptions/{transcription_id}")
    assert exported["segments"][0]["words"][0]["word"] == "Hello"


@pytest.mark.parametrize("status", ["pending", "processing", "failed"])
async def test_what_is_not_completed_cannot_be_exported(api, status):
    transcription_id = await transcribed(api, status=TranscriptionStatus(status))
    refused = await api.refused("GET", f"/transcriptions/{transcription_id}/export?format=vtt")
    assert (*refused[:2], refused[2]["details"]) == (409, "transcription_not_completed", {"current_status": status})


@pytest.mark.parametrize("query", ["", "?format=pdf", "?format="])
async def test_an_unknown_format_is_refused(api, query):
    transcription_id = await transcribed(api)
    status, code, error = await api.refused("GET", f"/transcriptions/{transcription_id}/export{query}")
    assert (status, code, error["param"]) == (400, "invalid_request", "format")


async def test_an_export_of_anothers_transcription_is_not_found(api):
    transcription_id = await transcribed(api)
    organization = await api.admin("POST", "/organizations", {"name": "Other"})
    stranger = await api.new_key(await api.new_project(organization["id"]))
    assert (await export(api, transcription_id, "txt", secret=stranger)).status_code == 404


async def test_a_recordings_transcriptions_are_listed_newest_first(api):
    recording, other = await completed(api), await completed(api)
    ids = [await transcribed(api, recording) for _ in range(3)]
    await transcribed(api, other)
    for path in (f"/transcriptions?recording_id={recording['id']}", f"/recordings/{recording['id']}/transcriptions"):
        page = await api.ok("GET", path)
        assert [item["id"] for item in page["data"]] == ids[::-1]
        assert (page["has_more"], page["next_cursor"]) == (False, None)
    assert len((await api.ok("GET", "/transcriptions"))["data"]) == 4


async def test_pages_go_on_by_cursor_and_by_offset(api):
    ids = [await transcribed(api) for _ in range(5)][::-1]
    first = await api.ok("GET", "/transcriptions?limit=2")
    second = await api.ok("GET", f"/transcriptions?limit=2&cursor={first['next_cursor']}")
    third = await api.ok("GET", "/transcriptions?limit=2&offset=4")
    assert [item["id"] for page in (first, second, third) for item in page["data"]] == ids
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    for query in ("limit=0", "limit=101", "offset=-1", "cursor=x", "limit=x", "status=done"):
        assert (await api.refused("GET", f"/transcriptions?{query}"))[:2] == (400, "invalid_request"), query


async def test_a_list_can_be_of_one_status(api):
    failed = await transcribed(api, status=TranscriptionStatus.FAILED)
    await transcribed(api)
    assert [item["id"] for item in (await api.ok("GET", "/transcriptions?status=failed"))["data"]] == [failed]


async def test_listed_transcriptions_have_their_text_but_no_segments(api):
    await transcribed(api)
    await transcribed(api, status=TranscriptionStatus.FAILED)
    failed, done = (await api.ok("GET", "/transcriptions"))["data"]
    assert (done["text"], done["full_text"], done["segments"]) == ("Hello <there> & you", "Hello <there> & you", None)
    assert (failed["text"], failed["full_text"], failed["segments"]) == (None, None, None)


async def test_a_page_carries_only_so_much_text(api):
    long = spoken(" ".join(["word"] * 40_000))
    for _ in range(3):
        await transcribed(api, transcript=long)
    page = await api.ok("GET", "/transcriptions")
    assert [item["text"] is not None for item in page["data"]] == [True, False, False]


async def test_when_not_all_texts_fit_it_is_the_newest_that_have_theirs(api):
    for words in (1, 60_000, 1):
        await transcribed(api, transcript=spoken(" ".join(["word"] * words)))
    page = await api.ok("GET", "/transcriptions")
    assert [item["text"] is not None for item in page["data"]] == [True, False, False]


async def test_the_list_of_an_unknown_recording(api):
    assert (await api.ok("GET", "/transcriptions?recording_id=rec_1"))["data"] == []
    assert (await api.refused("GET", "/recordings/rec_1/transcriptions"))[:2] == (404, "not_found")


async def test_a_deleted_recordings_transcriptions_are_neither_listed_nor_exported(api):
    recording = await completed(api)
    transcription_id = await transcribed(api, recording)
    await api.call("DELETE", f"/recordings/{recording['id']}")
    assert (await api.ok("GET", "/transcriptions"))["data"] == []
    assert (await export(api, transcription_id, "txt")).status_code == 404
