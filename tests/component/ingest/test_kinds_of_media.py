"""Audio, images and video of one recording: announced, replaced, completed together (contract A9, A10, 6.0, 6.4, 6.5, 8)."""

import hashlib
from datetime import timedelta

import msgspec
import pytest

from services.ingest.complete_upload import INLINE_HASH_BYTES
from services.ingest.request_upload import MAX_MEDIA, TOKEN_GRACE
from shared.domain.job import JobKind
from shared.domain.media import CONTENT_TYPES
from tests.component.ingest.uploading import PNG, WAVE, announced, stored_whole

JPEG = b"\xff\xd8\xff\xe0" + bytes(300)
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(400)
OGG, WEBM, FLAC = b"OggS" + bytes(120), b"\x1a\x45\xdf\xa3" + bytes(130), b"fLaC" + bytes(140)
BEGINNINGS = {
    "audio/opus": OGG,
    "audio/ogg": OGG,
    "audio/wav": WAVE,
    "audio/mpeg": b"ID3" + bytes(150),
    "audio/mp4": b"\x00\x00\x00\x18ftypM4A " + bytes(160),
    "audio/webm": WEBM,
    "audio/flac": FLAC,
    "audio/aac": b"\xff\xf1\x50\x80" + bytes(170),
    "image/jpeg": JPEG,
    "image/png": PNG,
    "video/mp4": MP4,
}
KINDS = [(kind, content_type) for kind, accepted in CONTENT_TYPES.items() for content_type in accepted]


def document(api, recording):
    return api.stores.recordings.documents[recording["id"]]


def age(api, recording, media_ids, by):
    """Let media have been announced that much earlier."""
    present = document(api, recording)
    media = [
        msgspec.structs.replace(item, created_at=item.created_at - by) if item.id in media_ids else item for item in present.media
    ]
    api.stores.recordings.documents[present.id] = msgspec.structs.replace(present, media=tuple(media))


async def complete(api, recording, **body):
    return await api.ok("POST", f"/recordings/{recording['id']}/upload-complete", body)


async def refusal(api, recording, path="upload-complete", **body):
    return await api.refused("POST", f"/recordings/{recording['id']}/{path}", body)


async def media_ids(api, recording):
    return [media["id"] for media in (await api.ok("GET", f"/recordings/{recording['id']}"))["media"]]


@pytest.mark.parametrize(("kind", "content_type"), KINDS)
async def test_every_listed_type_is_announced_stored_and_completed(api, kind, content_type):
    recording, content = await api.recording(), BEGINNINGS[content_type]
    media_id = await stored_whole(api, recording, content, type=kind, content_type=content_type)
    (media,) = (await complete(api, recording))["media"]
    assert (media["id"], media["type"], media["mime_type"], media["status"]) == (media_id, kind, content_type, "uploaded")
    assert media["file_size_bytes"] == len(content)
    assert f"{kind}.{CONTENT_TYPES[kind][content_type]}" in document(api, recording).media[0].object_key


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ({}, "audio/opus"),
        ({"type": None, "content_type": None}, "audio/opus"),
        ({"type": "audio"}, "audio/opus"),
        ({"type": "image"}, "image/jpeg"),
        ({"type": "video"}, "video/mp4"),
        ({"content_type": "audio/ogg; codecs=opus"}, "audio/ogg"),
        ({"content_type": " Audio/WebM ;codecs=opus"}, "audio/webm"),
        ({"type": "video", "content_type": 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"'}, "video/mp4"),
    ],
)
async def test_each_kind_has_its_default_and_parameters_do_not_count(api, body, content_type):
    offer = await announced(api, await api.recording(), **body)
    assert (offer["content_type"], offer["headers"]) == (content_type, {"Content-Type": content_type})


async def test_one_audio_and_two_images_stand_in_the_order_of_their_creation(api):
    recording = await api.recording()
    audio = await stored_whole(api, recording, content_type="audio/wav")
    seen = "2025-01-15T10:05:00+01:00"
    first = await stored_whole(api, recording, JPEG, type="image", captured_at=seen)
    second = await stored_whole(api, recording, PNG, type="image", content_type="image/png")
    done = await complete(api, recording)
    assert [item["id"] for item in done["media"]] == [audio, first, second]
    assert [item["file_size_bytes"] for item in done["media"]] == [len(WAVE), len(JPEG), len(PNG)]
    assert [item["captured_at"] for item in done["media"]] == [None, "2025-01-15T09:05:00.000Z", None]
    assert (done["mime_type"], done["file_size_bytes"]) == ("audio/wav", len(WAVE))


async def test_the_order_stays_while_a_large_audio_is_verified(api):
    recording, content = await api.recording(), WAVE + bytes(INLINE_HASH_BYTES)
    audio = await stored_whole(api, recording, content, content_type="audio/wav")
    image = await stored_whole(api, recording, JPEG, type="image")
    claim = hashlib.sha256(content).hexdigest()
    assert (await refusal(api, recording, content_sha256=claim))[:2] == (425, "verification_pending")
    assert document(api, recording).job.kind is JobKind.VERIFY
    assert await media_ids(api, recording) == [audio, image]


async def test_nothing_is_announced_while_what_is_there_is_verified(api):
    recording, content = await api.recording(), WAVE + bytes(INLINE_HASH_BYTES)
    await stored_whole(api, recording, content, content_type="audio/wav")
    await refusal(api, recording, content_sha256=hashlib.sha256(content).hexdigest())
    before = document(api, recording)
    for kind in CONTENT_TYPES:
        assert (await refusal(api, recording, "upload-url", type=kind))[:2] == (425, "verification_pending")
    assert document(api, recording) == before


async def test_images_still_pending_are_named_and_nothing_changes(api):
    recording = await api.recording()
    await stored_whole(api, recording, content_type="audio/wav")
    missing = [(await announced(api, recording, type="image"))["media_id"] for _ in range(2)]
    before = document(api, recording)
    status, code, error = await refusal(api, recording)
    assert (status, code, error["details"]) == (400, "upload_incomplete", {"media_ids": missing})
    assert document(api, recording) == before
    assert api.events(recording["id"]) == ["recording.created"]


@pytest.mark.parametrize("content", [WAVE, MP4, b"GIF89a" + bytes(50), b"\x89PNG", b"<html>"])
async def test_an_image_that_is_none_is_named_and_nothing_changes(api, content):
    recording = await api.recording()
    await stored_whole(api, recording, content_type="audio/wav")
    image = await stored_whole(api, recording, content, type="image")
    before = document(api, recording)
    status, code, error = await refusal(api, recording)
    assert (status, code, error["param"], error["details"]["media_id"]) == (400, "invalid_request", "media", image)
    assert document(api, recording) == before


async def test_of_a_video_alone_the_sound_is_what_is_transcribed(api):
    recording = await api.recording()
    video = await stored_whole(api, recording, MP4, type="video")
    done = await complete(api, recording, content_sha256=hashlib.sha256(MP4).hexdigest())
    assert (done["status"], done["mime_type"]) == ("uploaded", "video/mp4")
    assert document(api, recording).audio.id == video
    assert (await api.ok("POST", f"/recordings/{recording['id']}/transcribe"))["status"] == "pending"


async def test_beside_a_video_the_audio_is_what_is_transcribed_and_hashed(api):
    recording = await api.recording()
    audio = await stored_whole(api, recording, content_type="audio/wav")
    await stored_whole(api, recording, MP4, type="video")
    done = await complete(api, recording, content_sha256=hashlib.sha256(WAVE).hexdigest(), file_size_bytes=len(WAVE))
    assert done["status"] == "uploaded"
    assert document(api, recording).audio.id == audio


async def test_images_alone_are_uploaded_and_never_ready_to_be_transcribed(api):
    recording = await api.recording()
    image = await stored_whole(api, recording, JPEG, type="image")
    done = await complete(api, recording)
    assert (done["status"], done["mime_type"], done["duration_ms"]) == ("uploaded", None, None)
    assert (await refusal(api, recording, "transcribe"))[:2] == (400, "recording_not_ready")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "uploaded"
    offer = await api.ok("POST", f"/recordings/{recording['id']}/download-url", {"media_id": image})
    assert (offer["content_type"], offer["file_size_bytes"]) == ("image/jpeg", len(JPEG))


async def test_audio_asked_for_again_after_its_url_ended_takes_the_place_of_the_first(api):
    recording = await api.recording()
    first = (await announced(api, recording))["media_id"]
    age(api, recording, {first}, timedelta(hours=2))
    second = await stored_whole(api, recording, content_type="audio/wav")
    assert [item["id"] for item in (await complete(api, recording))["media"]] == [second]


@pytest.mark.parametrize(("kind", "content"), [("image", JPEG), ("video", MP4)])
async def test_pictures_whose_urls_ended_unused_give_way_to_new_ones_and_no_others_do(api, kind, content):
    recording = await api.recording()
    audio = await stored_whole(api, recording, content_type="audio/wav")
    stored = await stored_whole(api, recording, content, type=kind)
    unused = (await announced(api, recording, type=kind))["media_id"]
    other = await stored_whole(api, recording, PNG if kind == "video" else MP4, type="image" if kind == "video" else "video")
    age(api, recording, {audio, stored, unused, other}, timedelta(hours=1, minutes=1))
    within = await stored_whole(api, recording, content, type=kind)
    assert await media_ids(api, recording) == [audio, stored, unused, other, within]
    age(api, recording, {audio, stored, unused, other}, TOKEN_GRACE)
    last = await stored_whole(api, recording, content, type=kind)
    done = await complete(api, recording)
    assert [item["id"] for item in done["media"]] == [audio, stored, other, within, last]


async def test_a_recording_has_a_hundred_media_and_its_audio_may_still_be_asked_for_again(api):
    recording = await api.recording()
    await announced(api, recording)
    for _ in range(MAX_MEDIA - 1):
        await announced(api, recording, type="image")
    before = document(api, recording)
    status, _, _ = await refusal(api, recording, "upload-url", type="image")
    assert status in (400, 409)
    assert document(api, recording) == before
    audio = (await announced(api, recording))["media_id"]
    assert (len(document(api, recording).media), (await media_ids(api, recording))[-1]) == (MAX_MEDIA, audio)


@pytest.mark.parametrize(("kind", "content"), [("audio", WAVE), ("video", MP4), ("image", JPEG)], ids=["audio", "video", "image"])
async def test_a_file_that_was_found_wrong_gives_way_to_a_new_one_and_the_images_stay(api, kind, content):
    recording = await api.recording()
    image = await stored_whole(api, recording, PNG, type="image", content_type="image/png")
    await stored_whole(api, recording, content + b"damaged", type=kind)
    right = hashlib.sha256(content).hexdigest()
    assert (await refusal(api, recording, content_sha256=right))[:2] == (409, "content_hash_mismatch")
    anew = await stored_whole(api, recording, content, type=kind)
    assert await media_ids(api, recording) == [image, anew]
    done = await complete(api, recording, content_sha256=right)
    assert (done["status"], done["content_sha256"], done["error"]) == ("uploaded", right, None)
    assert [(item["id"], item["status"]) for item in done["media"]] == [(image, "uploaded"), (anew, "uploaded")]
    assert api.events(recording["id"]) == ["recording.created", "recording.failed", "recording.uploaded"]


async def test_a_new_file_is_looked_at_whatever_the_clock_said_that_announced_it(api):
    recording = await api.recording()
    wrong = await stored_whole(api, recording, WAVE + b"damaged")
    right = hashlib.sha256(WAVE).hexdigest()
    assert (await refusal(api, recording, content_sha256=right))[:2] == (409, "content_hash_mismatch")
    anew = await stored_whole(api, recording, WAVE)
    age(api, recording, {anew}, timedelta(hours=1))  # a replica's that is behind
    assert (await media_ids(api, recording), anew != wrong) == ([anew], True)
    assert (await complete(api, recording, content_sha256=right))["content_sha256"] == right
