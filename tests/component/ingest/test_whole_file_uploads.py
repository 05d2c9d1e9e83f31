"""Uploads of whole files: announced, stored past the API, completed with or without a hash (contract A9, A10, 6.4, 6.5)."""

import hashlib

import msgspec
import pytest

from services.ingest.complete_upload import INLINE_HASH_BYTES
from shared.domain.clock import now
from shared.domain.job import JobKind, JobStatus
from shared.domain.recording import RecordingStatus

WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(200)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
RIGHT = hashlib.sha256(WAVE).hexdigest()


async def announce(api, recording, **body):
    return await api.ok("POST", f"/recordings/{recording['id']}/upload-url", body)


def store(api, recording, media_id, content):
    """Do what the PUT to the pre-signed URL does."""
    media = next(item for item in api.stores.recordings.documents[recording["id"]].media if item.id == media_id)
    api.stores.objects.objects[media.object_key] = content


async def uploaded(api, content=WAVE, **body):
    recording = await api.recording()
    offer = await announce(api, recording, **body)
    if content is not None:
        store(api, recording, offer["media_id"], content)
    return recording


async def complete(api, recording, **body):
    return await api.call("POST", f"/recordings/{recording['id']}/upload-complete", body or None)


async def refusal(api, recording, **body):
    status, code, error = await api.refused("POST", f"/recordings/{recording['id']}/upload-complete", body)
    return status, code, error


def pretend(api, recording, **fields):
    """Put the recording where another stage would have brought it."""
    documents = api.stores.recordings.documents
    present = documents[recording["id"]]
    documents[recording["id"]] = msgspec.structs.replace(present, version=present.version + 1, **fields)


async def test_an_upload_url_says_all_that_the_client_needs(api):
    recording = await api.recording()
    offer = await announce(api, recording, content_type="audio/wav", file_size_bytes=216)
    assert offer["media_id"].startswith("med_")
    assert offer["headers"] == {"Content-Type": "audio/wav"}
    assert offer["content_type"] == "audio/wav"
    assert offer["expires_in"] == 3600
    assert "size=216" in offer["upload_url"]
    assert f"/{recording['id']}/{offer['media_id']}/audio.wav" in offer["upload_url"]
    (media,) = (await api.ok("GET", f"/recordings/{recording['id']}"))["media"]
    assert (media["id"], media["status"], media["mime_type"]) == (offer["media_id"], "pending", "audio/wav")


async def test_without_a_type_it_is_opus_audio(api):
    offer = await announce(api, await api.recording())
    assert offer["content_type"] == "audio/opus"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"type": "hologram"}, "type"),
        ({"content_type": "audio/midi"}, "content_type"),
        ({"type": "image", "content_type": "audio/wav"}, "content_type"),
        ({"file_size_bytes": 0}, "file_size_bytes"),
        ({"captured_at": "noon"}, "captured_at"),
    ],
)
async def test_a_wrong_announcement_is_refused_by_field(api, body, param):
    recording = await api.recording()
    status, code, error = await api.refused("POST", f"/recordings/{recording['id']}/upload-url", body)
    assert (status, code, error["param"]) == (400, "invalid_request", param)


async def test_asking_for_audio_again_takes_the_place_of_the_first_request(api):
    recording = await api.recording()
    await announce(api, recording)
    image = await announce(api, recording, type="image")
    again = await announce(api, recording)
    shown = await api.ok("GET", f"/recordings/{recording['id']}")
    assert [media["id"] for media in shown["media"]] == [image["media_id"], again["media_id"]]


async def test_an_upload_without_a_hash_is_uploaded_at_once(api):
    recording = await uploaded(api)
    answer = await complete(api, recording)
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "uploaded")
    assert [(item["status"], item["file_size_bytes"]) for item in body["media"]] == [("uploaded", len(WAVE))]
    assert body["uploaded_at"] is not None
    assert api.events(recording["id"]) == ["recording.created", "recording.uploaded"]
    stored = api.stores.recordings.documents[recording["id"]]
    assert (stored.job.kind, stored.job.status) == (JobKind.STITCH, JobStatus.QUEUED)
    assert api.stores.recordings.outbox[recording["id"]][-1].chunk_count == 0


async def test_completion_notes_which_object_it_was(api):
    recording = await uploaded(api)
    await complete(api, recording)
    (media,) = api.stores.recordings.documents[recording["id"]].media
    assert media.etag == hashlib.md5(WAVE).hexdigest()
    assert "etag" not in (await api.ok("GET", f"/recordings/{recording['id']}"))["media"][0]


async def test_a_file_replaced_while_it_is_hashed_is_not_passed(api, monkeypatch):
    recording = await uploaded(api)
    objects = api.stores.objects
    read = objects.read

    async def read_and_replace(key, start, length):
        piece = await read(key, start, length)
        objects.objects[key] = WAVE + b"more"
        return piece

    monkeypatch.setattr(objects, "read", read_and_replace)
    answer = await complete(api, recording, content_sha256=RIGHT)
    assert answer.status_code == 503
    assert api.stores.recordings.documents[recording["id"]].status is RecordingStatus.PENDING


async def test_completing_twice_without_a_hash_is_refused_with_the_status(api):
    recording = await uploaded(api)
    await complete(api, recording)
    status, code, error = await refusal(api, recording)
    assert (status, code, error["details"]) == (400, "invalid_request", {"current_status": "uploaded"})


async def test_a_missing_file_is_named_and_nothing_changes(api):
    recording = await uploaded(api, None)
    before = api.stores.recordings.documents[recording["id"]]
    status, code, error = await refusal(api, recording)
    assert (status, code) == (400, "upload_incomplete")
    assert error["details"] == {"media_ids": [before.media[0].id]}
    assert api.stores.recordings.documents[recording["id"]] == before


async def test_without_any_announced_file_there_is_nothing_to_complete(api):
    assert (await refusal(api, await api.recording()))[:2] == (400, "upload_incomplete")


@pytest.mark.parametrize(("content", "body"), [(b"", {}), (WAVE + b"1", {"file_size_bytes": len(WAVE)})])
async def test_an_empty_file_or_one_of_another_size_is_incomplete(api, content, body):
    assert (await refusal(api, await uploaded(api, content, **body)))[:2] == (400, "upload_incomplete")


@pytest.mark.parametrize(
    ("content", "kind"), [(b"just some text", "audio"), (PNG, "audio"), (WAVE, "image"), (WAVE, "video"), (PNG, "video")]
)
async def test_a_file_of_another_kind_is_refused(api, content, kind):
    recording = await uploaded(api, content, type=kind)
    status, code, error = await refusal(api, recording)
    assert (status, code, error["param"]) == (400, "invalid_request", "media")
    assert error["details"]["declared"] == kind


async def test_several_files_are_completed_together(api):
    recording = await uploaded(api)
    picture = await announce(api, recording, type="image", content_type="image/png", captured_at="2025-01-01T00:00:00Z")
    status, _, error = await refusal(api, recording)
    assert (status, error["details"]) == (400, {"media_ids": [picture["media_id"]]})
    store(api, recording, picture["media_id"], PNG)
    body = (await complete(api, recording)).json()
    assert [item["status"] for item in body["media"]] == ["uploaded", "uploaded"]
    assert body["media"][1]["captured_at"] == "2025-01-01T00:00:00.000Z"


async def test_the_right_hash_is_verified_and_replayed(api):
    recording = await uploaded(api)
    first = (await complete(api, recording, content_sha256=RIGHT.upper(), file_size_bytes=str(len(WAVE)))).json()
    assert (first["status"], first["content_sha256"]) == ("uploaded", RIGHT)
    assert first["content_sha256_verified_at"] is not None
    again = await complete(api, recording, content_sha256=RIGHT)
    assert (again.status_code, again.json()) == (200, first)
    assert api.events(recording["id"]).count("recording.uploaded") == 1


async def test_a_replay_says_uploaded_however_far_the_recording_has_moved(api):
    recording = await uploaded(api)
    await complete(api, recording, content_sha256=RIGHT)
    pretend(api, recording, status=RecordingStatus.PROCESSING)
    again = await complete(api, recording, content_sha256=RIGHT)
    assert (again.status_code, again.json()["status"]) == (200, "uploaded")


async def test_a_replay_with_another_hash_is_refused_and_changes_nothing(api):
    recording = await uploaded(api)
    await complete(api, recording, content_sha256=RIGHT)
    assert (await refusal(api, recording, content_sha256="0" * 64))[:2] == (409, "content_hash_mismatch")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "uploaded"


async def test_the_wrong_hash_is_an_integrity_failure_that_a_new_upload_heals(api):
    recording = await uploaded(api)
    assert (await refusal(api, recording, content_sha256="0" * 64))[:2] == (409, "content_hash_mismatch")
    shown = await api.ok("GET", f"/recordings/{recording['id']}")
    assert (shown["status"], shown["error"]["code"]) == ("integrity_failure", "content_hash_mismatch")
    assert api.events(recording["id"])[-1] == "recording.failed"
    offer = await announce(api, recording)
    store(api, recording, offer["media_id"], WAVE)
    body = (await complete(api, recording, content_sha256=RIGHT)).json()
    assert (body["status"], body["error"], len(body["media"])) == ("uploaded", None, 1)
    assert api.events(recording["id"])[-1] == "recording.uploaded"


async def test_a_file_that_was_found_wrong_does_not_pass_by_claiming_nothing(api):
    recording = await uploaded(api)
    await refusal(api, recording, content_sha256="0" * 64)
    status, code, error = await refusal(api, recording)
    assert (status, code, error["details"]) == (400, "invalid_request", {"current_status": "integrity_failure"})
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "integrity_failure"
    store(api, recording, (await announce(api, recording))["media_id"], WAVE)
    assert (await complete(api, recording)).json()["status"] == "uploaded"


async def test_another_size_than_announced_at_the_end_changes_nothing(api):
    recording = await uploaded(api)
    assert (await refusal(api, recording, file_size_bytes=1))[:2] == (409, "content_size_mismatch")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "pending"


@pytest.mark.parametrize("body", [{"content_sha256": "abc"}, {"content_sha256": 5}, {"file_size_bytes": "many"}])
async def test_a_malformed_claim_is_refused_by_field(api, body):
    status, _, error = await refusal(api, await uploaded(api), **body)
    assert (status, error["param"]) == (400, next(iter(body)))


async def test_a_large_file_is_hashed_elsewhere_while_the_client_asks_again(api):
    content = WAVE + bytes(INLINE_HASH_BYTES)
    recording = await uploaded(api, content)
    claim = hashlib.sha256(content).hexdigest()
    first = await complete(api, recording, content_sha256=claim)
    assert (first.status_code, first.json()["error"]["code"]) == (425, "verification_pending")
    assert first.headers["retry-after"] == "2"
    stored = api.stores.recordings.documents[recording["id"]]
    assert (stored.job.kind, stored.hash_claim.content_sha256) == (JobKind.VERIFY, claim)
    assert api.events(recording["id"])[-1] == "upload.claimed"
    assert (await refusal(api, recording, content_sha256=claim))[:2] == (425, "verification_pending")
    assert (await refusal(api, recording))[:2] == (425, "verification_pending")
    assert (await refusal(api, recording, content_sha256="0" * 64))[:2] == (409, "content_hash_mismatch")
    assert api.events(recording["id"]).count("upload.claimed") == 1
    pretend(
        api,
        recording,
        status=RecordingStatus.UPLOADED,
        content_sha256=claim,
        content_sha256_verified_at=now(),
        job=stored.job.ended(JobStatus.COMPLETED),
    )
    assert (await complete(api, recording, content_sha256=claim)).json()["content_sha256"] == claim


async def test_a_hash_that_was_computed_unasked_verifies_a_later_claim(api):
    recording = await uploaded(api)
    await complete(api, recording)
    assert (await refusal(api, recording, content_sha256=RIGHT))[:2] == (425, "verification_pending")
    job = api.stores.recordings.documents[recording["id"]].job
    pretend(api, recording, content_sha256=RIGHT, job=job.ended(JobStatus.COMPLETED))
    body = (await complete(api, recording, content_sha256=RIGHT)).json()
    assert body["content_sha256_verified_at"] is not None


async def test_a_streaming_recording_is_not_uploaded_whole(api):
    recording = await api.recording(streaming=True)
    for path in ("upload-url", "upload-complete"):
        status, code, error = await api.refused("POST", f"/recordings/{recording['id']}/{path}", {})
        assert (status, code, error["details"]) == (400, "invalid_request", {"current_status": "streaming"})


async def test_when_the_object_store_is_down_nothing_is_half_done(api):
    recording = await uploaded(api)
    before = api.stores.recordings.documents[recording["id"]]
    api.stores.objects.down = True
    assert (await refusal(api, recording))[:2] == (503, "service_unavailable")
    assert api.stores.recordings.documents[recording["id"]] == before
