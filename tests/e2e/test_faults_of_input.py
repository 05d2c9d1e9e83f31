"""Bad input fails one recording, with its reason; what was refused can be put right; nothing else is disturbed."""

import asyncio
import hashlib

import pytest

from tests.e2e.audio import TONE_S, tone, tone_samples, wav, webm
from tests.e2e.client import md5_of
from tests.e2e.watching import STREAMED, Listener, completed, failed, stitched, until

CHUNK_MS = round(TONE_S * 1000)


@pytest.fixture(autouse=True)
def _no_service_minds(stack):
    """Whatever a test sends, no service ends or is replaced."""
    before = {name: service.child.pid for name, service in stack.stack.services.items()}
    yield
    assert {name: service.child.pid for name, service in stack.stack.services.items()} == before


@pytest.fixture
async def listener(project, receiver):
    return await Listener.at(receiver, project)


async def test_a_missing_chunk_is_named_and_once_it_is_there_the_recording_completes(project, listener, evidence):
    recording = await project.open()
    await project.put_chunks(recording, {1: tone(1), 3: tone(3), 5: tone(5)})
    refused = await project.finalize(recording["id"], 4)
    assert (refused.status, refused.code) == (409, "chunk_count_mismatch")
    assert refused.json["error"]["details"] == {
        "expected_chunks": 4,
        "received_chunks": 3,
        "missing_chunks": [2, 4],
        "unexpected_chunks": [5],
    }
    assert (await project.get(recording["id"]))["status"] == "streaming"
    await project.put_chunks(recording, {2: tone(2), 4: tone(4)})
    assert (await project.finalize(recording["id"], 5)).status == 200
    await completed(project, recording["id"])
    assert await evidence.tones(recording["id"]) == [1, 2, 3, 4, 5]
    await listener.hears(recording["id"], *STREAMED)
    assert tuple(listener.types(recording["id"])) == STREAMED


async def test_a_chunk_that_is_sent_again_replaces_the_first(project, evidence):
    recording = await project.open()
    await project.put_chunks(recording, {2: tone(9)})
    await project.put_chunks(recording, {1: tone(1), 2: tone(2)})
    assert (await project.finalize(recording["id"], 2)).status == 200
    await stitched(project, recording["id"])
    assert await evidence.tones(recording["id"]) == [1, 2]


async def test_an_empty_chunk_is_refused_at_once(project):
    recording = await project.open()
    answer = await project.put_chunk(recording, 1, b"")
    assert (answer.status, answer.code) == (400, "empty_chunk")
    refused = await project.finalize(recording["id"], 1)
    assert refused.json["error"]["details"]["missing_chunks"] == [1]


GARBAGE = hashlib.shake_256(b"not audio").digest(6000)
BAD_CHUNKS = {
    "empty": ([tone(1), b"", tone(3)], "chunk_empty", 2),
    "not_audio": ([tone(1), tone(2), GARBAGE], "chunk_not_audio", 3),
    "first_not_audio": ([GARBAGE, tone(2)], "chunk_not_audio", 1),
    "truncated": ([tone(1), tone(2)[: len(tone(2)) // 2], tone(3)], "chunk_truncated", 2),
    "mixed": ([tone(1), wav(tone_samples(2)), tone(3)], "chunks_mixed", 2),
}


@pytest.mark.parametrize("fault", BAD_CHUNKS)
async def test_a_bad_chunk_fails_its_recording_with_the_reason_and_its_number(project, listener, evidence, fault):
    chunks, reason, number = BAD_CHUNKS[fault]
    recording = await project.open()
    offer = await project.client.post(f"/v1/recordings/{recording['id']}/chunk-urls", {"from": 1, "count": len(chunks)})
    for one, data in zip(offer["data"], chunks, strict=True):  # past the API, which refuses an empty one itself
        assert (await project.client.store(one["upload_url"], data)).status == 200
    assert (await project.finalize(recording["id"], len(chunks))).status == 200
    ended = await failed(project, recording["id"])
    assert (ended["error"]["code"], ended["error"]["chunk_number"]) == (reason, number)
    assert ended["stitching"]["status"] == "failed"
    await listener.hears(recording["id"], "recording.failed")
    told = listener.event(recording["id"], "recording.failed")["data"]
    assert (told["status"], told["error"]) == ("failed", ended["error"])
    assert listener.types(recording["id"]) == ["recording.created", "recording.uploaded", "recording.failed"]
    assert len(evidence.chunks(project.id, recording["id"])) == len(chunks)  # what was sent is kept, to be looked into


async def test_a_wrong_md5_is_an_integrity_failure(project, listener):
    chunks = [tone(1), tone(2)]
    recording_id = await project.stream(chunks, checksum_md5=md5_of(chunks[::-1]))
    ended = await failed(project, recording_id, "integrity_failure")
    assert ended["error"]["code"] == "checksum_mismatch"
    await listener.hears(recording_id, "recording.failed")
    told = listener.event(recording_id, "recording.failed")["data"]
    assert (told["status"], told["error"]["code"]) == ("integrity_failure", "checksum_mismatch")
    assert listener.types(recording_id) == ["recording.created", "recording.uploaded", "recording.failed"]


async def test_finalizing_again_gives_the_same_bytes_and_starts_nothing(project, listener, evidence):
    recording = await project.open()
    await project.put_chunks(recording, {1: tone(21), 2: tone(22)})
    first, *others = await asyncio.gather(*(project.finalize(recording["id"], 2, 2 * CHUNK_MS) for _ in range(5)))
    assert first.status == 200
    assert {other.body for other in others} == {first.body}
    await completed(project, recording["id"])
    later = await project.client.call(
        "POST", f"/v1/recordings/{recording['id']}/finalize", {"total_chunks": 2, "duration_ms": 2 * CHUNK_MS, "more": None}
    )
    assert (later.status, later.body) == (200, first.body)
    await listener.hears(recording["id"], *STREAMED)
    await until(lambda: evidence.settled(project.id))
    assert tuple(listener.types(recording["id"])) == STREAMED
    assert len(evidence.transcriptions(recording["id"])) == 1
    assert sorted(evidence.events(project.id).values()) == sorted(STREAMED)


@pytest.mark.parametrize(
    ("body", "different"),
    [
        ({"total_chunks": 3, "final_duration_ms": CHUNK_MS}, ["total_chunks"]),
        ({"total_chunks": 1, "final_duration_ms": CHUNK_MS + 1}, ["duration_ms"]),
        ({"total_chunks": 1, "final_duration_ms": CHUNK_MS, "checksum_md5": "0" * 32}, ["checksum_md5"]),
    ],
)
async def test_finalizing_again_with_other_numbers_is_refused(project, body, different):
    recording_id = await project.stream([tone(31)], duration_ms=CHUNK_MS)
    answer = await project.client.call("POST", f"/v1/recordings/{recording_id}/finalize", body)
    assert (answer.status, answer.code) == (409, "already_finalized")
    assert answer.json["error"]["details"] == {"different": different}


async def test_a_chunk_after_finalize_is_refused_and_changes_nothing(project, evidence):
    recording = await project.open()
    await project.put_chunks(recording, {1: tone(41), 2: tone(42)})
    assert (await project.finalize(recording["id"], 2)).status == 200
    late = await asyncio.gather(*(project.put_chunk(recording, number, tone(43)) for number in (1, 2, 3)))
    assert {(answer.status, answer.code) for answer in late} == {(409, "already_finalized")}
    await completed(project, recording["id"])
    assert await evidence.tones(recording["id"]) == [41, 42]


async def test_completing_without_the_object_changes_nothing_and_works_once_it_is_there(project, listener):
    recording = await project.open(streaming=False)
    offer = await project.offer(recording["id"], content_type="audio/ogg")
    before = await project.get(recording["id"])
    refused = await project.complete(recording["id"])
    assert (refused.status, refused.code) == (400, "upload_incomplete")
    assert refused.json["error"]["details"] == {"media_ids": [offer["media_id"]]}
    assert await project.get(recording["id"]) == before
    assert (await project.client.store(offer["upload_url"], tone(5), offer["headers"])).status == 200
    assert (await project.complete(recording["id"])).json["status"] == "uploaded"
    await listener.hears(recording["id"], *STREAMED[:3])
    assert tuple(listener.types(recording["id"])) == STREAMED[:3]


async def test_a_file_of_another_size_than_announced_is_not_stored(project):
    recording = await project.open(streaming=False)
    offer = await project.offer(recording["id"], file_size_bytes=len(tone(5)) + 1)
    assert (await project.client.store(offer["upload_url"], tone(5), offer["headers"])).status == 403
    assert (await project.complete(recording["id"])).code == "upload_incomplete"


async def test_less_than_a_second_cannot_be_transcribed(project, listener):
    recording_id = await project.upload(tone(5, 0.6), content_type="audio/ogg")
    await listener.hears(recording_id, "recording.stitched")
    asked = await project.client.post(f"/v1/recordings/{recording_id}/transcribe", {}, expect=201)
    await listener.hears(recording_id, "transcription.failed")
    ended = await project.transcription(asked["id"])
    assert (ended["status"], ended["error"]["code"], ended["text"]) == ("failed", "audio_too_short", None)
    assert ended["error_message"] == ended["error"]["message"]
    told = listener.event(recording_id, "transcription.failed")["data"]
    assert told["error"]["code"] == "audio_too_short"


CORRUPT = {
    "audio/ogg": tone(5)[:120] + GARBAGE,
    "audio/webm": webm(tone_samples(5))[:300] + GARBAGE,
    "audio/mp4": b"\0\0\0\x18ftypM4A " + GARBAGE,
    "audio/wav": wav(tone_samples(5))[:30] + GARBAGE,
}


@pytest.mark.parametrize("content_type", CORRUPT)
async def test_a_corrupt_file_fails_its_recording(project, listener, content_type):
    recording_id = await project.upload(CORRUPT[content_type], content_type=content_type)
    ended = await failed(project, recording_id)
    assert ended["error"]["code"] == "audio_corrupt"
    assert recording_id not in ended["error"]["message"]  # which would be the name of a folder of ours
    await listener.hears(recording_id, "recording.failed")
    assert listener.types(recording_id) == ["recording.created", "recording.uploaded", "recording.failed"]


async def test_what_is_no_media_at_all_is_refused_at_once(project):
    recording = await project.open(streaming=False)
    await project.put_file(recording["id"], GARBAGE)
    answer = await project.complete(recording["id"])
    assert (answer.status, answer.code, answer.json["error"]["param"]) == (400, "invalid_request", "media")
    assert (await project.get(recording["id"]))["status"] == "pending"


async def test_another_project_sees_changes_and_hears_nothing(project, project_in, stack, listener, receiver):
    stranger = project_in(stack)
    beside = await Listener.at(receiver, stranger, path="/stranger")
    recording = await project.open()
    await project.put_chunks(recording, {1: tone(51)})
    own = await stranger.open()
    for path in (f"recordings/{recording['id']}", f"recordings/{recording['id']}/chunks", f"webhook-endpoints/{listener.id}"):
        answer = await stranger.client.call("GET", f"/v1/{path}")
        assert (answer.status, answer.code) == (404, "not_found"), path
    assert (await stranger.finalize(recording["id"], 1)).code == "recording_not_found"
    foreign = recording["chunk_upload_url_template"].partition("?")[2]
    url = own["chunk_upload_url_template"].partition("?")[0].replace("{chunk_number}", "1")
    assert (await stranger.client.store(f"{url}?{foreign}", tone(52))).status == 403
    assert [one["id"] for one in (await stranger.client.get("/v1/recordings"))["data"]] == [own["id"]]

    assert (await project.finalize(recording["id"], 1)).status == 200
    done = await completed(project, recording["id"])
    answer = await stranger.client.call("GET", f"/v1/transcriptions/{done['transcription_id']}")
    assert (answer.status, answer.code) == (404, "not_found")
    await listener.hears(recording["id"], *STREAMED)
    await beside.hears(own["id"], "recording.created")
    assert beside.of(recording["id"]) == listener.of(own["id"]) == []
