"""Uploads through the API: a whole file, or plain chunks numbered from 0 (contract 7.5)."""

import pytest

from tests.component.ingest.uploading import WAVE, announced

OGG = b"OggS" + bytes(200)


async def relay(api, recording, content=WAVE, content_type="audio/wav", **options):
    headers = {"Content-Type": content_type} | options.pop("headers", {})
    return await api.call("POST", f"/recordings/{recording['id']}/upload-relay", headers=headers, content=content, **options)


async def relay_chunk(api, recording, seq, content=OGG, **options):
    return await api.call("POST", f"/recordings/{recording['id']}/upload-relay/chunk/{seq}", content=content, **options)


def refused(answer):
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_whole_file_is_stored_and_its_upload_complete(api):
    recording = await api.recording()
    answer = await relay(api, recording)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["id"], shown["status"]) == (recording["id"], "uploaded")
    (media,) = shown["media"]
    assert (media["mime_type"], media["file_size_bytes"], media["status"]) == ("audio/wav", len(WAVE), "uploaded")
    (key,) = [key for key in api.stores.objects.objects if recording["id"] in key]
    assert api.stores.objects.objects[key] == WAVE
    assert api.events(recording["id"]) == ["recording.created", "recording.uploaded"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("application/octet-stream", "audio/opus"),
        ("", "audio/opus"),
        ("audio/ogg; codecs=opus", "audio/ogg"),
        ("AUDIO/MPEG", "audio/mpeg"),
    ],
)
async def test_the_content_type_is_the_audios_or_says_nothing(api, sent, kept):
    shown = (await relay(api, await api.recording(), content_type=sent)).json()
    assert shown["media"][0]["mime_type"] == kept


async def test_what_is_no_audio_by_its_name_or_by_its_bytes_is_refused(api):
    recording = await api.recording()
    assert refused(await relay(api, recording, content_type="image/png")) == (400, "invalid_request")
    assert refused(await relay(api, recording, content=b"no audio at all" * 10)) == (400, "invalid_request")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "pending"
    assert (await relay(api, recording)).status_code == 200


async def test_a_file_is_relayed_once(api):
    recording = await api.recording()
    await relay(api, recording)
    assert refused(await relay(api, recording)) == (400, "invalid_request")


async def test_a_relay_takes_the_place_of_an_announced_upload(api):
    recording = await api.recording()
    await announced(api, recording)
    assert (await relay(api, recording)).json()["status"] == "uploaded"


async def test_an_uploads_token_relays_nothing(api):
    recording = await api.recording()
    offer = await announced(api, recording, content_type="audio/wav")
    other, streaming = await api.recording(), await api.recording(streaming=True)
    for send in (
        relay(api, recording, secret=offer["upload_token"]),
        relay(api, other, secret=offer["upload_token"]),
        relay_chunk(api, streaming, 0, secret=offer["upload_token"]),
    ):
        assert refused(await send) == (403, "forbidden")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "pending"


async def test_the_length_is_needed_and_bounded(api):
    recording = await api.recording()

    async def pieces():
        yield WAVE

    assert refused(await relay(api, recording, content=pieces())) == (411, "length_required")
    too_long = {"Content-Length": str(6 * 1024**3)}
    assert refused(await relay(api, recording, content=b"", headers=too_long)) == (413, "payload_too_large")
    assert refused(await relay(api, recording, content=b"")) == (400, "invalid_request")


async def test_a_body_that_breaks_off_stores_nothing_and_can_be_sent_again(api):
    recording = await api.recording()
    assert refused(await relay(api, recording, headers={"Content-Length": str(len(WAVE) + 5)})) == (400, "invalid_request")
    assert not [key for key in api.stores.objects.objects if recording["id"] in key]
    assert (await relay(api, recording)).status_code == 200


async def test_a_file_that_outlasts_its_recording_is_deleted_with_it(api):
    """However long it took: the last sweep for a deleted recording's objects may have been."""
    recording = await api.recording()

    async def delete():
        api.stores.objects.before_taking = None
        assert (await api.call("DELETE", f"/recordings/{recording['id']}")).status_code == 204

    api.stores.objects.before_taking = delete
    assert refused(await relay(api, recording)) == (404, "not_found")
    assert [key for key in api.stores.objects.objects if recording["id"] in key] == []


async def test_a_streaming_recording_is_not_relayed_whole(api):
    assert refused(await relay(api, await api.recording(streaming=True))) == (400, "invalid_request")


async def test_relayed_chunks_count_from_0_and_ours_from_1(api):
    recording = await api.recording(streaming=True)
    for seq in (0, 2, 1):
        answer = await relay_chunk(api, recording, seq)
        assert (answer.status_code, answer.json()["chunk_number"]) == (200, seq + 1)
    listed = await api.ok("GET", f"/recordings/{recording['id']}/chunks")
    assert [chunk["chunk_number"] for chunk in listed["data"]] == [1, 2, 3]
    done = await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 3, "final_duration_ms": 9})
    assert done["chunks_received"] == 3


async def test_a_gap_in_plain_chunks_is_named_by_finalize(api):
    recording = await api.recording(streaming=True)
    for seq in (0, 3):
        await relay_chunk(api, recording, seq)
    finalize = {"total_chunks": 4, "final_duration_ms": 9}
    status, code, error = await api.refused("POST", f"/recordings/{recording['id']}/finalize", finalize)
    assert (status, code, error["details"]["missing_chunks"]) == (409, "chunk_count_mismatch", [2, 3])


async def test_a_first_chunk_that_does_not_begin_as_audio_is_refused_before_anything_is_stored(api):
    recording = await api.recording(streaming=True)
    sealed = bytes(range(256)) * 4
    assert refused(await relay_chunk(api, recording, 0, sealed)) == (400, "not_plain_audio")
    assert refused(await relay_chunk(api, recording, 0, b"short")) == (400, "not_plain_audio")
    assert not [key for key in api.stores.objects.objects if recording["id"] in key]
    assert (await relay_chunk(api, recording, 1, sealed)).status_code == 200  # any byte range may follow


@pytest.mark.parametrize("seq", ["-1", "00", "1.0", "x", "999999", "\u0661"])
async def test_a_seq_has_one_plain_form(api, seq):
    recording = await api.recording(streaming=True)
    answer = await relay_chunk(api, recording, seq)
    assert refused(answer) == (400, "invalid_request")
    assert answer.json()["error"]["param"] == "seq"


async def test_relaying_needs_a_credential_and_a_recording_of_its_own(api):
    recording = await api.recording(streaming=True)
    organization = await api.admin("POST", "/organizations", {"name": "Other"})
    stranger = await api.new_key(await api.new_project(organization["id"]))
    for send in (relay_chunk(api, recording, 0, secret=stranger), relay(api, recording, secret=stranger)):
        assert refused(await send) == (404, "not_found")
    assert refused(await relay_chunk(api, recording, 0, secret="")) == (401, "unauthorized")
    reader = await api.new_key(api.project_id, scopes=["recordings:read"])
    assert refused(await relay_chunk(api, recording, 0, secret=reader)) == (403, "forbidden")
