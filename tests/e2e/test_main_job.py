"""The main job: speech goes in, chunk by chunk or whole; its text and signed webhooks come out."""

import asyncio
import hashlib
import re

import numpy as np
import pytest

from deploy.local.demo.speech import chunked, ogg_opus
from tests.e2e.audio import (
    as_float,
    byte_ranges,
    decoded,
    lags_s,
    level_steps_db,
    one_encoder_chunks,
    tone,
    wav,
    webm,
)
from tests.e2e.client import md5_of
from tests.e2e.watching import STREAMED, History, Listener, becomes, completed, failed, in_order, stitched, until
from tests.speech import word_error_rate

OUT_OF_ORDER = (4, 1, 9, 2, 7, 3, 8, 3, 5, 6)
IDENTIFIER = re.compile(r"[a-z]+(_[a-z]+)*_[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}")
FRAME_S = 0.02


async def test_speech_in_chunks_becomes_joined_audio_and_text_and_every_step_is_told(
    project, receiver, evidence, speech, real_speech
):
    listener = await Listener.at(receiver, project)
    chunks = list(chunked(speech, 9))
    recording = await project.open(name="a reading", metadata={"room": 12})
    history = History(project, recording["id"])
    for number in OUT_OF_ORDER:
        await project.put_chunks(recording, {number: chunks[number - 1]})
    received = (await project.client.get(f"/v1/recordings/{recording['id']}/chunks"))["data"]
    assert [(one["chunk_number"], one["file_size_bytes"]) for one in received] == [
        (number, len(chunk)) for number, chunk in enumerate(chunks, 1)
    ]
    answer = await project.finalize(recording["id"], 9, 26_000, checksum_md5=md5_of(chunks))
    assert (answer.status, answer.json["status"], answer.json["chunks_received"]) == (200, "uploaded", 9)

    done = await completed(project, recording["id"])
    await history.ended()
    assert (history.statuses[0], history.statuses[-1]) == ("streaming", "completed")
    assert in_order(history.statuses, ("streaming", "uploaded", "processing", "completed"))
    assert in_order(history.stitching, ("queued", "running", "completed"))
    assert done["stitching"]["job_id"] == answer.json["stitching_job_id"]
    assert done["metadata"] == {"room": 12}
    await asyncio.to_thread(assert_same_sound, speech, evidence.audio(recording["id"]))
    assert abs(done["duration_ms"] / 1000 - len(speech) / 16_000) <= FRAME_S
    await assert_understood(project, done, real_speech)
    await assert_told(listener, done)
    await evidence.assert_each_delivered_once(listener.id, set(STREAMED))
    await until(lambda: evidence.chunks(project.id, recording["id"]) == [])


def assert_same_sound(samples, audio):
    """Same length, nowhere early or late, nowhere louder or softer."""
    source, heard = as_float(samples), decoded(audio)
    assert abs(len(heard) - len(source)) / 16_000 <= FRAME_S
    lags = lags_s(source, heard)
    assert len(lags) > 5
    assert max(map(abs, lags)) <= 0.002
    assert max(map(abs, level_steps_db(source, heard))) < 4
    assert np.abs(heard).max() <= 1.1 * np.abs(source).max()


async def assert_understood(project, recording, sample):
    """The transcript as the API shows it: right words, with times in order."""
    transcription = await project.transcription(recording["transcription_id"])
    assert (transcription["status"], transcription["provider"], transcription["language"]) == ("completed", "whisper", "en")
    assert transcription["recording_id"] == recording["id"]
    assert transcription["text"] == transcription["full_text"]
    assert word_error_rate(sample.text, transcription["text"]) <= 0.10
    segments = transcription["segments"]
    words = [word for segment in segments for word in segment["words"]]
    assert transcription["word_count"] == len(words) > 60
    assert " ".join(word["word"] for word in words) == transcription["text"]
    for timed in (segments, words):
        assert all(0 <= one["start"] < one["end"] <= 27 for one in timed)
        assert [one["start"] for one in timed] == sorted(one["start"] for one in timed)
    assert words[-1]["end"] > 24
    told_apart = {None: {None}, 1: {"SPEAKER_0"}}  # without the models that tell speakers apart nobody is named
    assert {part.get("speaker") for part in (*segments, *words)} == told_apart[transcription["speaker_count"]]
    assert 0.5 < transcription["confidence"] <= 1
    assert all(0 <= word["confidence"] <= 1 for word in words)


async def assert_told(listener, recording):
    """Each event once, in order, signed, with ids of its own; what it says is what the API said at that moment."""
    heard = await listener.hears(recording["id"], *STREAMED)
    assert tuple(listener.types(recording["id"])) == STREAMED
    ids = [one.json["id"] for one in heard]
    assert len(set(ids)) == len(STREAMED)
    assert all(IDENTIFIER.fullmatch(one) for one in [*ids, recording["id"], recording["transcription_id"], listener.id])
    told = {one.json["type"]: one.json["data"] for one in heard}
    assert [told[kind]["status"] for kind in STREAMED] == [
        "streaming",
        "uploaded",
        "uploaded",
        "pending",
        "processing",
        "completed",
    ]
    assert told["recording.stitched"]["duration_ms"] == recording["duration_ms"]
    assert told["recording.uploaded"]["duration_seconds"] == 26.0
    assert "segments" in told["transcription.completed"]
    assert {told[kind]["id"] for kind in STREAMED[3:]} == {recording["transcription_id"]}


async def test_a_whole_file_is_transcribed_by_itself_where_the_project_says_so(project, receiver, evidence, speech, real_speech):
    everything = await Listener.at(receiver, project)
    texts = await Listener.at(receiver, project, "transcription.completed", path="/texts")
    before = await project.open(streaming=False)
    await project.configure(auto_transcription={"enabled": True, "language": "en"})
    data = wav(speech)
    offer = await project.put_file(before["id"], data, content_type="audio/wav", file_size_bytes=len(data))
    assert offer["content_type"] == "audio/wav"
    answer = await project.complete(before["id"])
    assert (answer.status, answer.json["status"]) == (200, "uploaded")
    assert [(one["id"], one["status"], one["file_size_bytes"]) for one in answer.json["media"]] == [
        (offer["media_id"], "uploaded", len(data))
    ]
    done = await completed(project, before["id"])
    assert done["duration_ms"] == round(len(speech) / 16)
    assert evidence.audio(before["id"]) == data
    await assert_understood(project, done, real_speech)
    heard = await everything.hears(before["id"], *STREAMED)
    assert len(heard) == len(STREAMED)
    (text,) = await texts.hears(before["id"], "transcription.completed")
    full = await project.transcription(done["transcription_id"])
    assert (text.json["data"]["text"], text.json["data"]["segments"]) == (full["text"], full["segments"])
    assert everything.secret != texts.secret
    await evidence.assert_each_delivered_once(everything.id, set(STREAMED))
    await evidence.assert_each_delivered_once(texts.id, {"transcription.completed"})


async def test_a_whole_file_is_not_transcribed_unless_asked_for(project, receiver, evidence):
    listener = await Listener.at(receiver, project)
    recording_id = await project.upload(tone(7), content_type="audio/ogg")
    await listener.hears(recording_id, "recording.stitched")
    assert (await project.complete(recording_id)).code == "invalid_request"
    asked = await project.client.post("/v1/transcriptions", {"recording_id": recording_id, "language": "en-US"}, expect=201)
    done = await completed(project, recording_id)
    assert done["transcription_id"] == asked["id"]
    await listener.hears(recording_id, *STREAMED)
    assert tuple(listener.types(recording_id)) == STREAMED
    again = await project.client.post(f"/v1/recordings/{recording_id}/transcribe", {}, expect=201)
    assert again["id"] != asked["id"]
    assert (await completed(project, recording_id))["status"] == "completed"
    assert (await project.transcription(asked["id"]))["status"] == "completed"


async def test_a_claimed_hash_is_verified_before_the_upload_counts(project, receiver, evidence):
    listener = await Listener.at(receiver, project)
    noise = np.random.default_rng(3).integers(-9000, 9000, size=(2, 48_000 * 50), dtype=np.int16)
    data = wav(noise, rate=48_000)  # above what is hashed within the request
    recording = await project.open(streaming=False)
    await project.put_file(recording["id"], data, content_type="audio/wav")
    digest = hashlib.sha256(data).hexdigest()
    answers = [await project.complete(recording["id"], content_sha256=digest)]
    while answers[-1].status == 425:
        assert answers[-1].code == "verification_pending"
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert len(answers) < 1000
        await asyncio.sleep(0.05)
        answers.append(await project.complete(recording["id"], content_sha256=digest))
    assert [answers[0].status, answers[-1].status] == [425, 200], answers[-1].body
    assert answers[-1].json["content_sha256"] == digest
    assert answers[-1].json["content_sha256_verified_at"]
    replay = await project.complete(recording["id"], content_sha256=digest)
    assert (replay.status, replay.json["content_sha256"]) == (200, digest)
    assert (await project.complete(recording["id"], content_sha256="0" * 64)).code == "content_hash_mismatch"
    done = await becomes(project, recording["id"], lambda one: one["duration_ms"] is not None)
    assert (done["status"], done["duration_ms"]) == ("uploaded", 50_000)
    await listener.hears(recording["id"], *STREAMED[:3])
    assert tuple(listener.types(recording["id"])) == STREAMED[:3]


@pytest.mark.parametrize("size_s", [1, 50], ids=["hashed_in_the_request", "hashed_by_the_stitcher"])
async def test_a_wrong_hash_fails_the_upload_and_a_new_upload_heals_it(project, receiver, evidence, size_s):
    listener = await Listener.at(receiver, project)
    samples = np.random.default_rng(4).integers(-9000, 9000, size=(2, 48_000 * size_s), dtype=np.int16)
    data, wrong = wav(samples, rate=48_000), wav(samples[:, ::-1], rate=48_000)
    digest = hashlib.sha256(data).hexdigest()
    recording = await project.open(streaming=False)
    await project.put_file(recording["id"], wrong, content_type="audio/wav")
    answer = await decided(project, recording["id"], digest)
    assert (answer.status, answer.code) == (409, "content_hash_mismatch")
    refused = await failed(project, recording["id"], "integrity_failure")
    assert refused["error"]["code"] == "content_hash_mismatch"
    await listener.hears(recording["id"], "recording.failed")
    assert (await project.complete(recording["id"], content_sha256=digest)).code == "content_hash_mismatch"
    await project.put_file(recording["id"], data, content_type="audio/wav")
    answer = await decided(project, recording["id"], digest)
    assert (answer.status, answer.json["status"]) == (200, "uploaded")
    await listener.hears(recording["id"], "recording.uploaded", "recording.stitched")
    told = ["recording.created", "recording.failed", "recording.uploaded", "recording.stitched"]
    assert listener.types(recording["id"]) == told
    assert evidence.audio(recording["id"]) == data


async def decided(project, recording_id, digest):
    """Repeat upload-complete as the contract's clients do, until it is decided."""
    async with asyncio.timeout(60):
        while (answer := await project.complete(recording_id, content_sha256=digest)).status == 425:
            await asyncio.sleep(0.05)
    return answer


async def test_chunks_put_past_the_api_count_like_the_others(project, evidence):
    recording = await project.open()
    offer = await project.client.post(f"/v1/recordings/{recording['id']}/chunk-urls", {"from": 1, "count": 3})
    for one in offer["data"][:2]:
        assert (await project.client.store(one["upload_url"], tone(10 + one["chunk_number"]))).status == 200
    await project.put_chunks(recording, {3: tone(13)})
    assert (await project.finalize(recording["id"], 3)).status == 200
    await stitched(project, recording["id"])
    assert await evidence.tones(recording["id"]) == [11, 12, 13]


LOSSLESS = {
    "one_encoder": (ogg_opus, lambda data, samples: one_encoder_chunks(samples, 6)),
    "ranges_of_ogg": (ogg_opus, lambda data, samples: byte_ranges(data, 6)),
    "ranges_of_webm": (webm, lambda data, samples: byte_ranges(data, 6)),
}


@pytest.mark.parametrize("kind", LOSSLESS)
async def test_what_one_encoder_made_is_joined_without_loss(project, evidence, speech, kind):
    samples = speech[: 16_000 * 6]
    encode, cut = LOSSLESS[kind]
    data = encode(samples)
    chunks = cut(data, samples)
    recording_id = await project.stream(chunks, checksum_md5=md5_of(chunks))
    done = await stitched(project, recording_id)
    audio = evidence.audio(recording_id)
    if kind != "one_encoder":
        assert audio == data
    assert np.array_equal(decoded(audio), decoded(data))
    assert abs(done["duration_ms"] - 6000) <= 20
