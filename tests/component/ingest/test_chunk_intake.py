"""Chunks: PUT by a URL that is its own credential, counted only while the recording is open (contract A7)."""

import asyncio
import hashlib
from datetime import timedelta

import pytest

from services.ingest.manifests import Manifests
from services.ingest.settle_chunk import SettleChunk
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.object_keys import chunk_of, chunk_prefix
from shared.domain.recording import RecordingStatus
from shared.domain.transition import VersionConflict


def stored(api, recording, number):
    """Return the newest upload of a chunk."""
    uploads = api.stores.objects.uploads(recording, number)
    return uploads[max(uploads)] if uploads else None


async def test_a_chunk_needs_nothing_but_its_url(api):
    recording = await api.recording(streaming=True)
    answer = await api.put_chunk(recording, 1, b"opus")
    assert answer.status_code == 200
    assert answer.json() == {"recording_id": recording["id"], "chunk_number": 1, "file_size_bytes": 4}
    assert stored(api, recording, 1) == b"opus"


@pytest.mark.parametrize("content_type", ["audio/ogg", "audio/opus", "application/octet-stream", "text/plain", "x"])
async def test_any_content_type_is_taken(api, content_type):
    recording = await api.recording(streaming=True)
    url = recording["chunk_upload_url_template"].format(chunk_number=3)
    answer = await api.client.put(url, content=b"x", headers={"Content-Type": content_type})
    assert answer.status_code == 200


async def test_chunks_come_in_any_order_and_a_later_one_replaces_an_earlier_one(api):
    recording = await api.recording(streaming=True)
    for number, content in ((3, b"c"), (1, b"a"), (2, b"b"), (1, b"again")):
        await api.put_chunk(recording, number, content)
    listed = await api.ok("GET", f"/recordings/{recording['id']}/chunks")
    assert [(chunk["chunk_number"], chunk["file_size_bytes"]) for chunk in listed["data"]] == [(1, 5), (2, 1), (3, 1)]
    assert (listed["has_more"], listed["next_cursor"]) == (False, None)
    assert stored(api, recording, 1) == b"again"


async def test_an_empty_chunk_is_refused_and_nothing_is_stored(api):
    recording = await api.recording(streaming=True)
    answer = await api.put_chunk(recording, 1, b"")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "empty_chunk")
    assert stored(api, recording, 1) is None


async def test_a_chunk_over_the_limit_is_refused_with_the_limit(api):
    recording = await api.recording(streaming=True)
    answer = await api.put_chunk(recording, 1, b"x" * (api.settings.max_chunk_bytes + 1))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (413, "payload_too_large")
    assert error["details"] == {"max_bytes": api.settings.max_chunk_bytes}
    assert stored(api, recording, 1) is None


async def test_a_chunk_of_unknown_length_is_refused(api):
    recording = await api.recording(streaming=True)

    async def pieces():
        yield b"one"

    url = recording["chunk_upload_url_template"].format(chunk_number=1)
    answer = await api.client.put(url, content=pieces())
    assert (answer.status_code, answer.json()["error"]["code"]) == (411, "length_required")


async def test_a_body_shorter_than_announced_stores_nothing(api):
    recording = await api.recording(streaming=True)

    async def pieces():
        yield b"one"

    url = recording["chunk_upload_url_template"].format(chunk_number=1)
    answer = await api.client.put(url, content=pieces(), headers={"Content-Length": "10"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert stored(api, recording, 1) is None


@pytest.mark.parametrize("announced", [10, 340_000])
@pytest.mark.parametrize("off", [-1, 1])
async def test_a_body_of_another_length_leaves_the_chunk_that_was_there(api, announced, off):
    recording = await api.streamed(1)

    async def pieces():
        yield bytes(announced - 5)
        yield bytes(5 + off)

    url = recording["chunk_upload_url_template"].format(chunk_number=1)
    answer = await api.client.put(url, content=pieces(), headers={"Content-Length": str(announced)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert stored(api, recording, 1) == b"chunk 1"


@pytest.mark.parametrize("number", ["0", "1000000", "01", "+1", "-1", "1_0", "٣", "%201", "1%0A", "1.0", "x", "9" * 5000])
async def test_a_number_in_any_other_form_than_plain_digits_in_the_range_is_refused(api, number):
    recording = await api.recording(streaming=True)
    answer = await api.put_chunk(recording, number)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", "chunk_number")
    assert (await api.ok("GET", f"/recordings/{recording['id']}/chunks"))["data"] == []


async def test_the_highest_number_is_taken(api):
    recording = await api.recording(streaming=True)
    assert (await api.put_chunk(recording, 999_999)).json()["chunk_number"] == 999_999


@pytest.mark.parametrize(
    "spoil",
    [
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url.replace("expires=", "expires=9"),
        lambda url: url.replace("expires=", "expires=0"),
        lambda url: url.replace("expires=", "expires=%2B"),
        lambda url: url.replace("&signature", "%0A&signature"),
        lambda url: url.replace("mode=live", "mode=test"),
        lambda url: url.replace("mode=live", "mode=none"),
        lambda url: url.partition("?")[0],
        lambda url: url.replace("project=proj_", "project=proj_X"),
        lambda url: url.replace("signature=", "signature=é"),
    ],
)
async def test_a_url_that_was_touched_opens_nothing(api, spoil):
    recording = await api.recording(streaming=True)
    answer = await api.client.put(spoil(recording["chunk_upload_url_template"].format(chunk_number=1)), content=b"x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


async def test_a_url_opens_no_other_recording(api):
    one, other = await api.recording(streaming=True), await api.recording(streaming=True)
    url = one["chunk_upload_url_template"].format(chunk_number=1).replace(one["id"], other["id"])
    assert (await api.client.put(url, content=b"x")).status_code == 403


async def test_after_finalize_no_chunk_is_taken(api):
    recording = await api.streamed(2)
    await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 2, "final_duration_ms": 1})
    before = stored(api, recording, 1)
    answer = await api.put_chunk(recording, 1, b"too late")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already_finalized")
    assert stored(api, recording, 1) == before


def closing(api, recording, total):
    """Return what finalizes the recording, once."""

    async def finalize():
        api.stores.objects.before_taking = api.stores.objects.before_confirming = None
        body = {"total_chunks": total, "final_duration_ms": 1}
        await api.ok("POST", f"/recordings/{recording['id']}/finalize", body)

    return finalize


async def test_a_chunk_that_a_finalize_overtook_is_refused_and_what_it_stored_is_gone(api):
    recording = await api.streamed(2)
    api.stores.objects.before_taking = closing(api, recording, 2)
    answer = await api.put_chunk(recording, 2, b"too late")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already_finalized")
    assert list(api.stores.objects.uploads(recording, 2).values()) == [b"chunk 2"]


async def test_a_chunk_that_a_finalize_has_seen_is_acknowledged_by_it(api):
    recording = await api.streamed(2)
    api.stores.objects.before_confirming = closing(api, recording, 3)
    assert (await api.put_chunk(recording, 3)).status_code == 200
    assert stored(api, recording, 3) == b"a chunk"


async def test_while_a_finalize_is_at_work_a_chunk_waits_for_its_outcome(api):
    recording = await api.streamed(2)
    objects, waiting = api.stores.objects, []
    real = objects.list

    async def slow(prefix):
        found = await real(prefix)
        objects.list = real
        waiting.append(asyncio.create_task(api.put_chunk(recording, 1, b"while it lists")))
        while len(objects.uploads(recording, 1)) < 2:
            await asyncio.sleep(0)
        await asyncio.wait(waiting, timeout=0.1)
        assert not waiting[0].done()
        return found

    objects.list = slow
    await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 2, "final_duration_ms": 1})
    assert (await waiting[0]).status_code == 409
    assert list(objects.uploads(recording, 1).values()) == [b"chunk 1"]


async def test_the_mark_of_a_finalize_that_died_ends_by_itself_and_that_finalize_cannot_finish(api):
    recording = await api.streamed(2)
    recordings = api.stores.recordings
    present = recordings.documents[recording["id"]]
    ended = now() - timedelta(seconds=1)
    dead = await recordings.begin_closing(present.tenant, present.id, {}, "a dead one's", ended)
    assert (await api.put_chunk(recording, 2, b"again")).status_code == 200
    with pytest.raises(VersionConflict):
        await recordings.save(dead, dead.changed(status=RecordingStatus.UPLOADED))


async def test_when_a_finalize_takes_too_long_a_chunk_is_neither_acknowledged_nor_refused(api):
    recording = await api.streamed(2)
    recordings = api.stores.recordings
    present = recordings.documents[recording["id"]]
    await recordings.begin_closing(present.tenant, present.id, {}, "a mark", now() + timedelta(seconds=60))
    settle = SettleChunk(recordings, Manifests(recordings, api.stores.objects), patience_s=0)
    with pytest.raises(TransientFailure):
        await settle(present.tenant, present.id, next(iter(api.stores.objects.uploads(recording, 2))))


@pytest.mark.parametrize("size", [3_000, 340_000])
async def test_a_body_that_ends_after_the_finalize_leaves_the_acknowledged_chunk_as_it_was(api, size):
    recording = await api.streamed(2)

    async def pieces():
        yield bytes(size - 10)
        await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 2, "final_duration_ms": 1})
        yield bytes(10)

    url = recording["chunk_upload_url_template"].format(chunk_number=2)
    answer = await api.client.put(url, content=pieces(), headers={"Content-Length": str(size)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already_finalized")
    assert stored(api, recording, 2) == b"chunk 2"


async def test_no_chunk_is_acknowledged_that_the_store_did_not_confirm(api):
    recording = await api.recording(streaming=True)
    api.stores.objects.down = True
    answer = await api.put_chunk(recording, 1)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_chunk_urls_lead_past_the_api(api):
    recording = await api.recording(streaming=True)
    answer = await api.ok("POST", f"/recordings/{recording['id']}/chunk-urls", {"from": 4, "count": 3})
    assert [item["chunk_number"] for item in answer["data"]] == [4, 5, 6]
    assert all(item["upload_url"].startswith("http://store.test/") for item in answer["data"])
    keys = [item["upload_url"].removeprefix("http://store.test/").partition("?")[0] for item in answer["data"]]
    assert all(key.startswith(chunk_prefix(api.project_id, recording["id"])) for key in keys)
    assert [chunk_of(key)[0] for key in keys] == [4, 5, 6]
    assert answer["expires_in"] == 3600


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"count": 1}, "from"),
        ({"from": 0, "count": 1}, "from"),
        ({"from": 1, "count": 0}, "count"),
        ({"from": 1, "count": 1001}, "count"),
        ({"from": 999_999, "count": 2}, "count"),
    ],
)
async def test_a_wrong_range_of_chunk_urls_is_refused(api, body, param):
    recording = await api.recording(streaming=True)
    status, _, error = await api.refused("POST", f"/recordings/{recording['id']}/chunk-urls", body)
    assert (status, error["param"]) == (400, param)


async def test_a_recording_that_is_not_streamed_has_no_chunks(api):
    recording = await api.recording()
    for method, path, body in (("GET", "chunks", None), ("POST", "chunk-urls", {"from": 1, "count": 1})):
        status, code, _ = await api.refused(method, f"/recordings/{recording['id']}/{path}", body)
        assert (status, code) == (400, "not_a_streaming_recording")


async def test_a_large_chunk_arrives_whole(api):
    recording = await api.recording(streaming=True)
    content = bytes(range(256)) * 3000
    await api.put_chunk(recording, 1, content)
    assert hashlib.sha256(stored(api, recording, 1)).digest() == hashlib.sha256(content).digest()


async def test_a_chunk_is_not_refused_for_a_finalize_that_a_crash_of_the_database_undid(api, monkeypatch):
    recording = await api.streamed(2)
    recordings = api.stores.recordings
    open_still = recordings.documents[recording["id"]]
    await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 2, "final_duration_ms": 1})

    async def undone(seen):
        recordings.documents[seen.id] = open_still
        raise VersionConflict(seen.id)

    monkeypatch.setattr(recordings, "confirm", undone)
    settle = SettleChunk(recordings, Manifests(recordings, api.stores.objects))
    await settle(open_still.tenant, open_still.id, "stored while it was finalized")
