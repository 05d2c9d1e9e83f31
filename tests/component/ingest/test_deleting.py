"""Deleting a recording: gone from every read at once, told once, and nothing is taken in for it any more."""

import msgspec
import pytest

from shared.domain.job import JobStatus
from shared.domain.recording import RecordingStatus
from shared.domain.tenant import Tenant
from shared.domain.transcript import Transcript
from shared.domain.transcription import TranscriptionStatus


def stored(api, recording):
    return api.stores.recordings.documents[recording["id"]]


async def uploaded(api, **fields):
    recording = await api.recording(**fields)
    offer = await api.ok("POST", f"/recordings/{recording['id']}/upload-url", {"content_type": "audio/wav"})
    key = next(media.object_key for media in stored(api, recording).media if media.id == offer["media_id"])
    api.stores.objects.objects[key] = b"RIFF\x00\x00\x00\x00WAVEfmt "
    return await api.ok("POST", f"/recordings/{recording['id']}/upload-complete")


async def test_a_deleted_recording_is_gone_from_every_read_and_its_transcriptions_with_it(api):
    recording = await uploaded(api)
    transcription = await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    answer = await api.call("DELETE", f"/recordings/{recording['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    own = f"/recordings/{recording['id']}"
    for path in (own, f"{own}/chunks", f"/transcriptions/{transcription['id']}"):
        assert (await api.refused("GET", path))[:2] == (404, "not_found"), path
    assert (await api.ok("GET", "/recordings"))["data"] == []


async def test_a_deletion_is_told_once_and_repeated_it_finds_nothing(api):
    recording = await api.recording()
    await api.call("DELETE", f"/recordings/{recording['id']}")
    assert (await api.refused("DELETE", f"/recordings/{recording['id']}"))[:2] == (404, "not_found")
    assert api.events(recording["id"]) == ["recording.created", "recording.deleted"]


async def test_the_news_of_a_deletion_holds_nothing_that_people_wrote(api):
    recording = await api.recording(name="A private talk", metadata={"patient": "Ada"}, device_id=await api.new_device())
    await api.call("DELETE", f"/recordings/{recording['id']}")
    deleted = api.stores.recordings.outbox[recording["id"]][-1].recording
    assert (deleted.name, deleted.metadata) == (None, {})
    of = (recording["end_user_id"], recording["device_id"])
    assert (deleted.end_user_id, deleted.device_id, deleted.status) == (*of, "pending")
    assert deleted.deleted_at is not None


async def test_another_projects_recording_cannot_be_deleted(api):
    recording = await api.recording()
    organization = await api.admin("POST", "/organizations", {"name": "Other"})
    stranger = await api.new_key(await api.new_project(organization["id"]))
    assert (await api.refused("DELETE", f"/recordings/{recording['id']}", secret=stranger))[:2] == (404, "not_found")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["id"] == recording["id"]


async def test_deleting_stops_the_jobs_on_a_recording(api):
    recording = await uploaded(api)
    transcription = await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    await api.call("DELETE", f"/recordings/{recording['id']}")
    for job in (stored(api, recording).job, api.stores.transcriptions.documents[transcription["id"]].job):
        assert (job.status, job.available_at) == (JobStatus.FAILED, None)


@pytest.mark.parametrize("status", list(RecordingStatus))
async def test_a_recording_can_be_deleted_in_every_status(api, status):
    recording = await api.recording()
    documents = api.stores.recordings.documents
    documents[recording["id"]] = msgspec.structs.replace(documents[recording["id"]], status=status)
    assert (await api.call("DELETE", f"/recordings/{recording['id']}")).status_code == 204
    assert stored(api, recording).status is status
    assert stored(api, recording).erasure is not None


async def test_a_chunk_that_comes_after_the_deletion_is_refused(api):
    recording = await api.streamed(2)
    await api.call("DELETE", f"/recordings/{recording['id']}")
    before = set(api.stores.objects.objects)
    answer = await api.put_chunk(recording, 3)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert set(api.stores.objects.objects) == before
    refused = await api.refused("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 2, "final_duration_ms": 1})
    assert refused[:2] == (404, "recording_not_found")


async def test_a_chunk_that_is_being_stored_while_its_recording_is_deleted_is_refused(api):
    recording = await api.streamed(1)

    async def delete():
        api.stores.objects.before_confirming = None
        await api.call("DELETE", f"/recordings/{recording['id']}")

    api.stores.objects.before_confirming = delete
    assert (await api.put_chunk(recording, 2)).status_code == 404


async def transcribed(api, recording):
    """Transcribe the recording; its text is `private`."""
    transcription = await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    documents, tenant = api.stores.transcriptions.documents, Tenant(api.project_id)
    done = documents[transcription["id"]].changed(status=TranscriptionStatus.PROCESSING)
    documents[done.id] = done.changed(status=TranscriptionStatus.COMPLETED, active=False)
    text = Transcript(text="private", language="en", duration_ms=1, segments=(), confidence=None, word_count=1)
    api.stores.transcripts.kept[tenant, done.id] = text
    return done.id


async def half_deleted(api, recording):
    """Delete the recording; whoever does so dies before its transcriptions are deleted, too."""
    api.stores.transcriptions.down = True
    assert (await api.call("DELETE", f"/recordings/{recording['id']}")).status_code == 204
    api.stores.transcriptions.down = False


async def test_a_transcript_is_gone_with_its_recording_though_the_rest_is_still_to_be_done(api):
    recording = await uploaded(api)
    transcription_id = await transcribed(api, recording)
    assert (await api.ok("GET", f"/transcriptions/{transcription_id}"))["text"] == "private"
    await half_deleted(api, recording)
    assert (await api.refused("GET", f"/transcriptions/{transcription_id}"))[:2] == (404, "not_found")


@pytest.mark.parametrize("query", ["", "?recording_id={}"])
async def test_no_list_shows_a_transcription_without_its_recording(api, query):
    recording = await uploaded(api)
    transcription_id = await transcribed(api, recording)
    path = "/transcriptions" + query.format(recording["id"])
    assert [row["id"] for row in (await api.ok("GET", path))["data"]] == [transcription_id]
    await half_deleted(api, recording)
    assert await api.ok("GET", path) == {"data": [], "has_more": False, "next_cursor": None}


async def test_pages_of_transcriptions_are_full_though_some_of_the_rows_are_without_their_recordings(api):
    recordings = [await uploaded(api) for _ in range(9)]
    ids = [await transcribed(api, recording) for recording in recordings]
    for recording in (recordings[0], *recordings[3:6], recordings[8]):
        await half_deleted(api, recording)
    pages, cursor = [], ""
    while cursor is not None:
        page = await api.ok("GET", f"/transcriptions?limit=2&cursor={cursor}")
        pages.append([row["id"] for row in page["data"]])
        cursor = page["next_cursor"]
    assert pages == [[ids[7], ids[6]], [ids[2], ids[1]]]


async def test_a_key_without_the_scope_may_not_delete(api):
    recording = await api.recording()
    reader = await api.new_key(api.project_id, scopes=["recordings:read"])
    status, code, error = await api.refused("DELETE", f"/recordings/{recording['id']}", secret=reader)
    assert (status, code, error["details"]["required_scope"]) == (403, "forbidden", "recordings:write")
