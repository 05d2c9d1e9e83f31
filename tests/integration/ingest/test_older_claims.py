"""Files whose hash was declared to a release that did not note of which file: they are read, and judged anew."""

import hashlib

import pytest

RIGHT = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(3000)
CLAIM = {"content_sha256": hashlib.sha256(RIGHT).hexdigest()}


async def upload(api, recording, content):
    path = f"/recordings/{recording['id']}"
    offer = await api.ok("POST", f"{path}/upload-url", {"file_size_bytes": len(content)})
    assert (await api.client.put(offer["upload_url"], content=content, headers=offer["headers"])).is_success
    return await api.call("POST", f"{path}/upload-complete", CLAIM)


@pytest.fixture
async def found_wrong(api):
    """A recording whose file was not as declared, as an earlier release has left it."""
    recording = await api.recording()
    assert (await upload(api, recording, RIGHT[:-1] + b"!")).status_code == 409
    rows = api.service._platform.mongo.database["recordings"]
    change = [{"$set": {"hash_claim.claimed_at": "$updated_at"}}, {"$unset": "hash_claim.media_id"}]
    assert (await rows.update_one({"_id": recording["id"]}, change)).modified_count == 1
    return recording


async def test_it_is_shown_alone_and_in_lists(api, found_wrong):
    assert (await api.ok("GET", f"/recordings/{found_wrong['id']}"))["status"] == "integrity_failure"
    assert [one["id"] for one in (await api.ok("GET", "/recordings"))["data"]] == [found_wrong["id"]]


async def test_the_same_file_is_wrong_again_and_the_right_one_is_taken(api, found_wrong):
    again = await api.call("POST", f"/recordings/{found_wrong['id']}/upload-complete", CLAIM)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "content_hash_mismatch")
    taken = await upload(api, found_wrong, RIGHT)
    assert (taken.status_code, taken.json()["content_sha256"]) == (200, CLAIM["content_sha256"])
