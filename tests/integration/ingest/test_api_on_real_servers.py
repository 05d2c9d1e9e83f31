"""The API over MongoDB, an S3 server and a broker: what was acknowledged is there, once, for every replica."""

import asyncio
import hashlib
import os
from urllib.parse import urlsplit

import pytest

from shared.domain.clock import now
from shared.domain.object_keys import chunk_of, chunk_prefix
from shared.domain.tenant import Tenant
from shared.http_server import HEAD_LIMIT_BYTES
from tests.conformance import Exchange, check
from tests.fakes.kept_events import kept_events
from tests.integration.ingest.conftest import until


def store_of(api):
    return api.service._store


async def uploads_of(api, recording, number):
    """Return the content of every upload of a chunk, oldest first."""
    found = await store_of(api).list(chunk_prefix(api.project_id, recording["id"]))
    keys = sorted(stored.key for stored in found if chunk_of(stored.key)[0] == number)
    return [await store_of(api).read(key, 0, 1_000_000) for key in keys]


def platform_of(api):
    return api.service._platform


async def types_kept(api, recording):
    return [event.type for event in await kept_events(platform_of(api).events, recording["project_id"], recording["id"])]


async def test_a_streamed_upload_is_stored_byte_for_byte_and_told_of(api):
    recording = await api.recording(streaming=True, metadata={"a.b": {"": [1, None]}})
    chunks = {number: os.urandom(100_000 + number) for number in range(1, 9)}
    for number in (3, 1, 2, 8, 7, 5, 4, 6, 3):
        assert (await api.put_chunk(recording, number, chunks[number])).status_code == 200
    listed = await api.ok("GET", f"/recordings/{recording['id']}/chunks")
    assert {item["chunk_number"]: item["file_size_bytes"] for item in listed["data"]} == {
        number: len(content) for number, content in chunks.items()
    }
    for number, content in chunks.items():
        assert set(await uploads_of(api, recording, number)) == {content}
    body = {"total_chunks": 8, "final_duration_ms": 1000}
    first = await api.call("POST", f"/recordings/{recording['id']}/finalize", body)
    again = await api.call("POST", f"/recordings/{recording['id']}/finalize", body)
    assert (first.status_code, first.content) == (200, again.content)

    async def told():
        return await types_kept(api, recording) == ["recording.created", "recording.uploaded"]

    assert await until(told)
    shown = await api.ok("GET", f"/recordings/{recording['id']}")
    assert shown["metadata"] == {"a.b": {"": [1, None]}}


async def test_large_integers_of_a_clients_own_hinder_nothing(api):
    """Milliseconds since 1970 are as usual in metadata as anything."""
    own = {"recorded": 1_700_000_000_000, "deep": [{"largest": 2**63 - 1}]}
    recording = await api.recording(streaming=True, metadata=own)
    assert (await api.put_chunk(recording, 1, b"OggS")).status_code == 200
    assert [row["metadata"] for row in (await api.ok("GET", "/recordings"))["data"]] == [own]
    assert [row["metadata"] for row in (await api.ok("GET", "/recordings?offset=0"))["data"]] == [own]
    await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 1, "final_duration_ms": 1000})
    await until(lambda: told_of(api, recording, "recording.uploaded"))

    device = await api.bound_device()
    await api.ok("PATCH", f"/devices/{device['id']}", {"metadata": own, "settings": own})
    wanted = {"type": "start_recording", "params": {"metadata": own}}
    command = await api.ok("POST", f"/devices/{device['id']}/commands", wanted)
    (given,) = (await api.ok("POST", "/devices/me/heartbeat", {}, secret=device["device_token"]))["commands"]
    assert given["params"]["metadata"] == command["params"]["metadata"] == own
    told = {"command_results": [{"command_id": command["id"], "status": "executed", "result": own}]}
    await api.ok("POST", "/devices/me/heartbeat", told, secret=device["device_token"])
    (listed,) = (await api.ok("GET", f"/devices/{device['id']}/commands"))["data"]
    assert (listed["params"]["metadata"], listed["result"]) == (own, own)
    assert (await api.call("DELETE", f"/recordings/{recording['id']}")).status_code == 204
    await until(lambda: told_of(api, recording, "recording.deleted"))


async def told_of(api, recording, event_type):
    return event_type in await types_kept(api, recording)


async def broken_off(api):
    """Return how many chunk PUTs the process has seen break off."""
    metrics = (await api.call("GET", f"{api.url}/metrics", secret="")).text
    lines = [line for line in metrics.splitlines() if "/chunks/{chunk_number}" in line and 'status="499"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.parametrize("sent", [1, 600_000])
async def test_a_sender_that_breaks_off_leaves_nothing_and_is_no_fault_of_ours(api, sent):
    recording = await api.recording(streaming=True)
    target = urlsplit(recording["chunk_upload_url_template"].format(chunk_number=1))
    before = await broken_off(api)
    _reader, writer = await asyncio.open_connection(target.hostname, target.port)
    head = f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    writer.write(head.encode() + bytes(sent))
    await writer.drain()
    writer.close()

    async def noticed():
        return await broken_off(api) > before

    await until(noticed)
    assert (await api.ok("GET", f"/recordings/{recording['id']}/chunks"))["data"] == []


@pytest.mark.parametrize("size", [3_000, 340_000])
async def test_a_body_whose_end_comes_after_the_finalize_leaves_the_acknowledged_chunk_as_it_was(api, size):
    recording = await api.streamed(1)
    target = urlsplit(recording["chunk_upload_url_template"].format(chunk_number=1))
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    head = f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head.encode())
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")  # it is being read
    writer.write(bytes(size - 10))
    await writer.drain()
    await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 1, "final_duration_ms": 1})
    writer.write(bytes(10))
    assert b" 409 " in await reader.readline()
    writer.close()

    async def swept():
        return await uploads_of(api, recording, 1) == [b"chunk 1"]

    await until(swept)


async def test_chunk_urls_store_chunks_past_the_api(api):
    recording = await api.recording(streaming=True)
    offer = await api.ok("POST", f"/recordings/{recording['id']}/chunk-urls", {"from": 1, "count": 2})
    for item in offer["data"]:
        put = await api.client.put(item["upload_url"], content=b"past the api", headers={"Content-Type": "audio/ogg"})
        assert put.is_success
    answer = await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 2, "duration_ms": 1})
    assert answer["chunks_received"] == 2


@pytest.mark.parametrize("extra", [0, 9 * 1024 * 1024])
async def test_a_whole_file_is_uploaded_past_the_api_and_its_hash_claimed(api, extra):
    content = b"RIFF\x24\x00\x00\x00WAVEfmt " + os.urandom(300_000 + extra)
    recording = await api.recording()
    offer = await api.ok("POST", f"/recordings/{recording['id']}/upload-url", {"file_size_bytes": len(content)})
    short = await api.client.put(offer["upload_url"], content=content[:-1], headers=offer["headers"])
    assert short.status_code == 403
    assert (await api.client.put(offer["upload_url"], content=content, headers=offer["headers"])).is_success
    claim = {"content_sha256": hashlib.sha256(content).hexdigest()}
    answer = await api.call("POST", f"/recordings/{recording['id']}/upload-complete", claim)
    if extra:
        assert answer.status_code == 425
        stored = await platform_of(api).recordings.get(Tenant(api.project_id), recording["id"])
        assert stored.job.kind == "verify"
    else:
        assert (answer.status_code, answer.json()["content_sha256"]) == (200, claim["content_sha256"])


async def test_of_many_finalizes_at_once_on_two_replicas_one_counts_and_all_answer_alike(deployment):
    async with deployment.replica() as one, deployment.replica() as two:
        await one.open()
        two.project_id, two.secret = one.project_id, one.secret
        recording = await one.streamed(3)
        body = {"total_chunks": 3, "final_duration_ms": 5}
        path = f"/recordings/{recording['id']}/finalize"
        answers = await asyncio.gather(*(api.call("POST", path, body) for api in (one, two) * 6))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1

        async def told():
            return "recording.uploaded" in await types_kept(one, recording)

        await until(told)
        assert await types_kept(one, recording) == ["recording.created", "recording.uploaded"]
        stored = await platform_of(one).recordings.get(Tenant(one.project_id), recording["id"])
        assert len(stored.media) == 1


async def test_of_many_transcribes_at_once_one_starts(deployment):
    async with deployment.replica() as one, deployment.replica() as two:
        await one.open()
        two.project_id, two.secret = one.project_id, one.secret
        recording = await one.recording()
        offer = await one.ok("POST", f"/recordings/{recording['id']}/upload-url", {})
        await one.client.put(offer["upload_url"], content=b"fLaC" + bytes(500))
        await one.ok("POST", f"/recordings/{recording['id']}/upload-complete", {})
        path = f"/recordings/{recording['id']}/transcribe"
        answers = await asyncio.gather(*(api.call("POST", path) for api in (one, two) * 5))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
        (started,) = [answer.json() for answer in answers if answer.status_code == 201]
        shown = await two.ok("GET", f"/recordings/{recording['id']}")
        assert shown["transcription_id"] == started["id"]


async def test_a_chunk_is_acknowledged_by_either_replica_and_seen_by_both(deployment):
    async with deployment.replica() as one, deployment.replica() as two:
        await one.open()
        recording = await one.recording(streaming=True)
        recording["chunk_upload_url_template"] = recording["chunk_upload_url_template"].replace(one.url, two.url)
        assert (await two.put_chunk(recording, 1)).status_code == 200
        assert len((await one.ok("GET", f"/recordings/{recording['id']}/chunks"))["data"]) == 1


async def test_a_revocation_is_felt_on_other_replicas_within_the_time(deployment):
    async with deployment.replica() as one, deployment.replica(key_cache_s=0.5) as two:
        await one.open()
        two.secret = one.secret
        assert (await two.call("GET", "/recordings")).status_code == 200
        (key,) = (await one.admin("GET", f"/projects/{one.project_id}/api-keys"))["data"]
        await one.admin("DELETE", f"/projects/{one.project_id}/api-keys/{key['id']}")
        assert (await one.call("GET", "/recordings")).status_code == 401

        async def refused():
            return (await two.call("GET", "/recordings")).status_code == 401

        await until(refused, within_s=5)


async def test_a_keys_last_use_is_noted(api):
    began = now()
    await api.ok("GET", "/recordings")

    async def noted():
        (key,) = (await api.admin("GET", f"/projects/{api.project_id}/api-keys"))["data"]
        return key["last_used_at"] is not None and key["last_used_at"] >= f"{began:%Y-%m-%dT%H:%M}"

    await until(noted)


async def test_acknowledged_chunks_survive_a_race_of_senders_and_finalizers(api):
    """Whatever the interleaving: a chunk answered 200 is stored, and a finalize that passes has seen each of its numbers."""
    recording = await api.recording(streaming=True)
    path = f"/recordings/{recording['id']}/finalize"

    async def send(number):
        return number, (await api.put_chunk(recording, number, b"%d" % number)).status_code

    async def close():
        while (await api.call("POST", path, {"total_chunks": 20, "final_duration_ms": 1})).status_code == 409:
            await asyncio.sleep(0)

    *sent, _ = await asyncio.gather(*(send(number) for number in [*range(1, 21), *range(1, 21)]), close())
    first = {number for number, status in sent if status == 200}
    assert first == set(range(1, 21))
    assert {status for _, status in sent} <= {200, 409}
    listed = await api.ok("GET", f"/recordings/{recording['id']}/chunks")
    assert [item["chunk_number"] for item in listed["data"]] == list(range(1, 21))


@pytest.mark.parametrize(
    ("sent", "status"), [(b"tea, please\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX-Long: " + b"a" * HEAD_LIMIT_BYTES, 431)]
)
async def test_what_is_no_request_is_answered_with_all_that_every_answer_carries(api, sent, status):
    """Before anything of ours has seen it; the client's address is all that is known."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(api.url).port)
    writer.write(sent)
    head, _, body = (await reader.readuntil(b"}}")).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    writer.close()
    assert first.startswith(f"HTTP/1.1 {status} ")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    check(Exchange("BREW", f"{api.url}/tea", status, headers, body))


async def test_a_recording_takes_as_many_files_at_once_as_it_may_have(api):
    recording = await api.ok("POST", "/recordings", {"end_user_id": await api.someone()})
    wanted = [{"type": "image", "content_type": "image/png"}] * 40
    path = f"/recordings/{recording['id']}/upload-url"
    answers = await asyncio.gather(*(api.call("POST", path, body) for body in wanted))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["media_id"] for answer in answers}) == len(wanted)
