"""Deleting recordings of the running platform, in every state: nothing of them is left, and that is told once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.audio import tone
from tests.e2e.watching import Listener, becomes, completed, until
from tests.fakes.webhook_receiver import Receiver

MANY = (2_500, 7_500, 15_000)  # objects: three pages of a listing and more, so erasing them takes a while


async def deleted(project, recording_id):
    answer = await project.client.call("DELETE", f"/v1/recordings/{recording_id}")
    assert (answer.status, answer.body) == (204, b"")
    assert (await project.client.call("GET", f"/v1/recordings/{recording_id}")).status == 404


async def nothing_left(evidence, project, recording_id, *transcription_ids):
    """No object, no text, and no word that anybody wrote; facts about the deletion may stay."""
    await until(lambda: evidence.keys(project.id, recording_id) == [])
    await until(lambda: not evidence.texts_of(recording_id, *transcription_ids))
    for transcription_id in transcription_ids:
        assert (await project.client.call("GET", f"/v1/transcriptions/{transcription_id}")).status == 404


async def told_once(listener, recording_id):
    await listener.hears(recording_id, "recording.deleted")
    assert listener.types(recording_id).count("recording.deleted") == 1


async def test_a_completed_recording_is_erased_with_its_transcript(project, evidence, receiver: Receiver):
    listener = await Listener.at(receiver, project)
    recording_id = await project.stream([tone(1), tone(2)])
    recording = await completed(project, recording_id)
    await listener.hears(recording_id, "transcription.completed")
    await deleted(project, recording_id)
    await nothing_left(evidence, project, recording_id, recording["transcription_id"])
    await told_once(listener, recording_id)
    assert (await project.client.call("DELETE", f"/v1/recordings/{recording_id}")).status == 404


async def test_a_recording_is_erased_while_its_chunks_arrive(project, evidence, receiver: Receiver):
    listener = await Listener.at(receiver, project)
    recording = await project.open(name="A private talk", metadata={"patient": "Ada"})
    await project.put_chunks(recording, {1: tone(1)})
    sending, go_on = await project.put_half(recording, 2, tone(2))
    await deleted(project, recording["id"])
    go_on.set()
    assert (await sending).status == 404
    assert (await project.put_chunk(recording, 3, tone(3))).status == 404
    assert (await project.finalize(recording["id"], 1)).code == "recording_not_found"
    await nothing_left(evidence, project, recording["id"])
    await told_once(listener, recording["id"])


async def test_a_recording_that_awaits_its_upload_is_erased_with_what_is_stored_of_it(project, evidence):
    recording = await project.open(streaming=False)
    await project.put_file(recording["id"], tone(1))
    await deleted(project, recording["id"])
    assert (await project.complete(recording["id"])).status == 404
    await nothing_left(evidence, project, recording["id"])


async def test_a_failed_recording_is_erased(project, evidence):
    recording_id = await project.stream([b"no audio at all"])
    await until(lambda: evidence.recording(recording_id)["status"] == "failed")
    await deleted(project, recording_id)
    await nothing_left(evidence, project, recording_id)


async def test_a_recording_is_erased_while_it_is_transcribed_and_its_worker_is_free_again(project, evidence):
    chunks = await asyncio.to_thread(lambda: [tone(number, 20.0) for number in range(12)])
    recording_id = await project.stream(chunks)
    running = await becomes(project, recording_id, lambda recording: recording["status"] in {"processing", "completed"})
    await deleted(project, recording_id)
    (transcription,) = evidence.transcriptions(recording_id)
    assert transcription["job"]["available_at"] is None
    await nothing_left(evidence, project, recording_id, running["transcription_id"])
    await completed(project, await project.stream([tone(3)]))


async def killed_while_it_erases(fragile, customer, inside, many):
    """Kill the stitcher when it has begun to erase a recording of so many objects; return its id, and how many were left."""
    recording = await customer.open()
    keys = [f"{customer.id}/{recording['id']}/chunks/{number:06d}.OLD" for number in range(1, many + 1)]

    def fill():
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(inside.put, keys))

    await asyncio.to_thread(fill)
    await deleted(customer, recording["id"])
    await until(lambda: len(inside.keys(customer.id, recording["id"])) < many)
    await asyncio.to_thread(fragile.kill, "stitcher")
    return recording["id"], len(inside.keys(customer.id, recording["id"]))


async def test_the_stitcher_killed_while_it_erases_finishes_later(fragile, customer, inside):
    for many in MANY:
        recording_id, left = await killed_while_it_erases(fragile, customer, inside, many)
        await asyncio.to_thread(fragile.start_member, "stitcher")
        await nothing_left(inside, customer, recording_id)
        if left:
            return  # else it was killed after the end: there have to be more
    pytest.fail("it was killed after the end every time")
