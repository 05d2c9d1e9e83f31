"""Download URLs: of one file or of the recording's audio, under a name that is safe to save (contract A11)."""

from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from tests.component.ingest.uploading import PNG, announced, completed, stored_whole

NAMES = [
    ("Standup", "Standup.wav"),
    ("Sitzung über Öl", "Sitzung über Öl.wav"),
    ("会議", "会議.wav"),
    ("../../etc/passwd", "etc passwd.wav"),
    ('a"b\r\nSet-Cookie: x=1', "a b Set-Cookie x=1.wav"),
    ("invoice\u202egpj.exe", "invoice gpj.exe.wav"),
    ("...", None),
    ("  ", None),
    (None, None),
    ("x" * 255, "x" * 80 + ".wav"),
]


def saved_as(offer):
    return parse_qs(urlsplit(offer["download_url"]).query)["name"][0]


async def test_a_file_is_offered_by_its_id(api):
    recording = await completed(api)
    (media,) = recording["media"]
    offer = await api.ok("POST", f"/recordings/{recording['id']}/download-url", {"media_id": media["id"]})
    assert offer.keys() == {"download_url", "media_id", "content_type", "file_size_bytes", "expires_at", "expires_in"}
    assert (offer["media_id"], offer["content_type"], offer["expires_in"]) == (media["id"], "audio/wav", 3600)
    assert offer["file_size_bytes"] == media["file_size_bytes"] > 0


async def test_without_an_id_the_audio_is_offered_whatever_else_there_is(api):
    recording = await api.recording()
    audio = await stored_whole(api, recording, content_type="audio/wav")
    image = await stored_whole(api, recording, PNG, type="image", content_type="image/png")
    await api.ok("POST", f"/recordings/{recording['id']}/upload-complete")
    assert (await api.ok("GET", f"/recordings/{recording['id']}/download-url"))["media_id"] == audio
    offer = await api.ok("POST", f"/recordings/{recording['id']}/download-url", {"media_id": image})
    assert (offer["media_id"], offer["content_type"]) == (image, "image/png")


@pytest.mark.parametrize(("name", "expected"), NAMES)
async def test_the_file_is_saved_under_a_harmless_form_of_the_recordings_name(api, name, expected):
    recording = await completed(api, name=name)
    offer = await api.ok("GET", f"/recordings/{recording['id']}/download-url")
    assert saved_as(offer) == (expected or f"{recording['id']}.wav")


async def test_what_is_not_stored_yet_cannot_be_downloaded(api):
    recording = await api.recording()
    media = await announced(api, recording)
    for call in (("GET", None), ("POST", {"media_id": media["media_id"]})):
        status, code, error = await api.refused(call[0], f"/recordings/{recording['id']}/download-url", call[1])
        assert (status, code, error["details"]["current_status"]) == (400, "recording_not_ready", "pending")


async def test_a_streamed_recording_has_nothing_to_download_before_it_is_joined(api):
    recording = await api.streamed(2)
    await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 2, "final_duration_ms": 1})
    status, code, error = await api.refused("GET", f"/recordings/{recording['id']}/download-url")
    assert (status, code, error["details"]["stitching"]) == (400, "recording_not_ready", "queued")


async def test_an_unknown_file_is_not_found(api):
    recording, other = await completed(api), await completed(api)
    for media_id in ("med_1", other["media"][0]["id"]):
        refused = await api.refused("POST", f"/recordings/{recording['id']}/download-url", {"media_id": media_id})
        assert refused[:2] == (404, "not_found")
    assert (await api.refused("POST", f"/recordings/{recording['id']}/download-url", {}))[2]["param"] == "media_id"


async def test_a_deleted_recording_offers_no_download(api):
    recording = await completed(api)
    await api.call("DELETE", f"/recordings/{recording['id']}")
    for method, body in (("GET", None), ("POST", {"media_id": recording["media"][0]["id"]})):
        assert (await api.refused(method, f"/recordings/{recording['id']}/download-url", body))[:2] == (404, "not_found")


async def test_the_extension_is_that_of_the_stored_object(api):
    recording = await completed(api)
    documents = api.stores.recordings.documents
    present = documents[recording["id"]]
    joined = msgspec.structs.replace(present.media[0], object_key="p/r/m/audio-1.flac", content_type="audio/flac")
    documents[recording["id"]] = msgspec.structs.replace(present, media=(joined,))
    assert saved_as(await api.ok("GET", f"/recordings/{recording['id']}/download-url")).endswith(".flac")
