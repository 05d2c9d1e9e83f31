"""What is refused only because of how things stand is not kept under an idempotency key: once they have changed, it is served."""

import hashlib

import msgspec
import pytest

from shared.domain.ids import new_ulid
from shared.domain.recording import RecordingStatus
from tests.component.ingest.test_repeats_after_a_crash import forget
from tests.tenants import SILENCE

NO_AUDIO = b"<html>502 Bad Gateway</html>" * 20


@pytest.fixture
def key():
    return {"Idempotency-Key": new_ulid()}


async def refused_now(api, path, body, key):
    """Send a request that is refused for the moment, twice: neither refusal is kept."""
    for _ in range(2):
        answer = await api.call("POST", path, body, headers=key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
        assert "idempotency-replayed" not in answer.headers


async def announced(api):
    recording = await api.recording()
    offer = await api.ok("POST", f"/recordings/{recording['id']}/upload-url", {"content_type": "audio/wav"})
    return f"/recordings/{recording['id']}", offer["upload_url"]


async def test_a_file_of_the_wrong_kind_can_be_put_right(api, key):
    path, url = await announced(api)
    await api.store(url, NO_AUDIO)
    await refused_now(api, f"{path}/upload-complete", {}, key)
    await api.store(url, SILENCE)  # the URL is good for an hour
    assert (await api.ok("POST", f"{path}/upload-complete", {}, headers=key))["status"] == "uploaded"


async def test_a_file_that_was_found_wrong_can_be_uploaded_anew(api, key):
    path, url = await announced(api)
    await api.store(url, SILENCE)
    wrong = {"content_sha256": hashlib.sha256(NO_AUDIO).hexdigest()}
    assert (await api.refused("POST", f"{path}/upload-complete", wrong))[1] == "content_hash_mismatch"
    await refused_now(api, f"{path}/upload-complete", {}, key)
    offer = await api.ok("POST", f"{path}/upload-url", {"content_type": "audio/wav"})
    await api.store(offer["upload_url"], SILENCE)
    assert (await api.ok("POST", f"{path}/upload-complete", {}, headers=key))["status"] == "uploaded"


async def test_a_recording_whose_file_turns_out_to_be_wrong_awaits_an_upload_again(api, key):
    path, url = await announced(api)
    await api.store(url, SILENCE)
    await api.ok("POST", f"{path}/upload-complete", {})
    await refused_now(api, f"{path}/upload-url", {}, key)
    documents, recording_id = api.stores.recordings.documents, path.rpartition("/")[2]
    documents[recording_id] = msgspec.structs.replace(documents[recording_id], status=RecordingStatus.INTEGRITY_FAILURE)
    assert (await api.ok("POST", f"{path}/upload-url", {}, headers=key))["upload_url"]


async def test_a_device_that_records_can_be_bound_meanwhile(api, key):
    device = await api.new_device()
    await refused_now(api, "/recordings", {"device_id": device}, key)
    someone = await api.new_end_user()
    await api.ok("POST", f"/devices/{device}/bind", {"end_user_id": someone})
    assert (await api.ok("POST", "/recordings", {"device_id": device}, headers=key))["end_user_id"] == someone


async def test_what_was_opened_before_the_device_was_freed_is_found_again(api, key):
    body = {"device_id": (await api.bound_device())["id"]}
    first = await api.call("POST", "/recordings", body, headers=key)
    forget(api, first)
    await api.ok("POST", f"/devices/{body['device_id']}/unbind", {})
    again = await api.call("POST", "/recordings", body, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
