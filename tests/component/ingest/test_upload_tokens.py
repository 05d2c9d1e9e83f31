"""The token that comes with an upload URL completes that upload, and nothing else (contract A5, A10, 6.5)."""

import hashlib
from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.secret import secret_sha256

WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(200)
RIGHT = hashlib.sha256(WAVE).hexdigest()


async def announce(api, recording, content=WAVE, **body):
    """Ask for an upload URL and do what its PUT does."""
    offer = await api.ok("POST", f"/recordings/{recording['id']}/upload-url", body)
    media = next(item for item in api.stores.recordings.documents[recording["id"]].media if item.id == offer["media_id"])
    if content is not None:
        api.stores.objects.objects[media.object_key] = content
    return offer


async def uploaded(api):
    recording = await api.recording()
    return recording, await announce(api, recording)


async def complete(api, recording, offer, path=None, **body):
    path = path or f"/recordings/{recording['id']}/upload-complete"
    return await api.call("POST", path, body or None, secret=offer["upload_token"])


async def test_a_token_completes_its_upload(api):
    recording, offer = await uploaded(api)
    assert offer["upload_token"].startswith("up_")
    response = await complete(api, recording, offer, recording_id=recording["id"], content_sha256=RIGHT)
    assert (response.status_code, response.json()["status"]) == (200, "uploaded")


async def test_only_the_hash_of_a_token_is_kept_and_it_expires(api):
    recording, offer = await uploaded(api)
    kept = api.stores.upload_tokens.tokens[secret_sha256(offer["upload_token"])]
    assert kept.recording_id == recording["id"]
    assert offer["upload_token"] not in repr(kept)
    assert kept.expires_at - now() <= timedelta(seconds=offer["expires_in"], minutes=15)


@pytest.mark.parametrize("body", [{}, {"content_sha256": RIGHT}])
async def test_a_repeat_gets_the_same_answer_and_starts_nothing(api, body):
    recording, offer = await uploaded(api)
    first = await complete(api, recording, offer, **body)
    events = api.events(recording["id"])
    second = await complete(api, recording, offer, **body)
    assert (second.status_code, second.json()) == (200, first.json())
    assert api.events(recording["id"]) == events


async def test_a_repeat_with_another_hash_is_refused(api):
    recording, offer = await uploaded(api)
    await complete(api, recording, offer, content_sha256=RIGHT)
    response = await complete(api, recording, offer, content_sha256="0" * 64)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "content_hash_mismatch")


async def test_an_upload_that_is_not_there_yet_may_be_completed_later(api):
    recording = await api.recording()
    offer = await announce(api, recording, content=None)
    response = await complete(api, recording, offer)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "upload_incomplete")
    media = api.stores.recordings.documents[recording["id"]].media[0]
    api.stores.objects.objects[media.object_key] = WAVE
    assert (await complete(api, recording, offer)).status_code == 200


@pytest.mark.parametrize("of", ["recording", "media"])
async def test_the_other_name_of_the_route_takes_the_recording_or_the_file(api, of):
    recording, offer = await uploaded(api)
    upload_id = recording["id"] if of == "recording" else offer["media_id"]
    response = await complete(api, recording, offer, f"/uploads/{upload_id}/complete", content_sha256=RIGHT)
    assert (response.status_code, response.json()["id"]) == (200, recording["id"])


async def test_a_key_may_complete_by_the_other_name_too(api):
    recording, offer = await uploaded(api)
    response = await api.call("POST", f"/uploads/{offer['media_id']}/complete")
    assert (response.status_code, response.json()["id"]) == (200, recording["id"])


async def test_any_other_recording_looks_as_if_it_did_not_exist(api):
    recording, offer = await uploaded(api)
    other, others = await uploaded(api)
    for path in (
        f"/recordings/{other['id']}/upload-complete",
        f"/uploads/{other['id']}/complete",
        f"/uploads/{others['media_id']}/complete",
        "/uploads/rec_missing/complete",
        "/uploads/med_missing/complete",
    ):
        response = await complete(api, recording, offer, path)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found"), path


async def test_the_body_may_not_name_another_recording(api):
    recording, offer = await uploaded(api)
    response = await complete(api, recording, offer, recording_id="rec_other")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "recording_id")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/recordings/{id}"),
        ("GET", "/recordings"),
        ("POST", "/recordings"),
        ("POST", "/recordings/{id}/upload-url"),
        ("POST", "/recordings/{id}/transcribe"),
        ("DELETE", "/recordings/{id}"),
        ("GET", "/webhook-endpoints"),
    ],
)
async def test_a_token_opens_nothing_else(api, method, path):
    recording, offer = await uploaded(api)
    response = await api.call(method, path.replace("{id}", recording["id"]), secret=offer["upload_token"])
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


async def test_a_token_whose_upload_was_replaced_is_good_for_nothing(api):
    recording = await api.recording()
    old = await announce(api, recording)
    new = await announce(api, recording)
    response = await complete(api, recording, old)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")
    assert (await complete(api, recording, new)).status_code == 200


async def test_an_expired_token_is_no_credential(api):
    recording, offer = await uploaded(api)
    tokens = api.stores.upload_tokens.tokens
    digest = secret_sha256(offer["upload_token"])
    tokens[digest] = msgspec.structs.replace(tokens[digest], expires_at=now() - timedelta(seconds=1))
    assert (await complete(api, recording, offer)).status_code == 401
