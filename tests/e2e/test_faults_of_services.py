"""Every service killed in the middle of its work: everything completes, once, and nothing is told twice in two ways."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.audio import tone
from tests.e2e.killing import assert_understood_once, children, everything_told_once, held, killed, spoken, started
from tests.e2e.watching import DEADLINE_S, STREAMED, Listener, becomes, completed, until

LONG_TONE_S = 10.0
LONG_CHUNKS = 24  # enough to be joining for a while


async def test_ingest_killed_within_a_chunk_keeps_what_it_acknowledged_and_no_half_chunk(fragile, customer, receiver, inside):
    listener = await Listener.at(receiver, customer)
    recording = await customer.open()
    await customer.put_chunks(recording, {1: tone(1), 3: tone(3)})
    sending, go_on = await customer.put_half(recording, 2, tone(2))
    await killed(fragile, "ingest")
    go_on.set()
    with pytest.raises(aiohttp.ClientError):
        await sending
    await started(fragile, "ingest")
    listed = await customer.client.get(f"/v1/recordings/{recording['id']}/chunks")
    assert [one["chunk_number"] for one in listed["data"]] == [1, 3]
    await customer.put_chunks(recording, {2: tone(2)})
    assert (await customer.finalize(recording["id"], 3)).status == 200
    await completed(customer, recording["id"])
    assert await inside.tones(recording["id"]) == [1, 2, 3]
    await everything_told_once(inside, listener, [recording["id"]])


async def test_ingest_killed_while_many_finalize_closes_each_once(fragile, customer, receiver, inside):
    listener = await Listener.at(receiver, customer)
    recordings = [await customer.open() for _ in range(12)]
    for number, recording in enumerate(recordings):
        await customer.put_chunks(recording, {1: tone(number)})
    finalizing = [asyncio.create_task(customer.finalize(recording["id"], 1)) for recording in recordings]
    await asyncio.wait(finalizing, return_when=asyncio.FIRST_COMPLETED)
    await killed(fragile, "ingest")
    await started(fragile, "ingest")
    answers = await asyncio.gather(*finalizing)
    assert {answer.status for answer in answers} == {200}
    for recording, answer in zip(recordings, answers, strict=True):
        again = await customer.finalize(recording["id"], 1)
        assert again.body == answer.body
        await completed(customer, recording["id"])
    assert [await inside.tones(one["id"]) for one in recordings] == [[number] for number in range(12)]
    await everything_told_once(inside, listener, [recording["id"] for recording in recordings])


async def joining(running, inside, customer):
    """A recording whose chunks take a while to be joined, which has just begun; its id and what must be heard."""
    tones = list(range(LONG_CHUNKS))
    chunks = await asyncio.to_thread(lambda: [tone(number, LONG_TONE_S) for number in tones])
    async with held(running, inside, "stitcher"):
        recording_id = await customer.stream(chunks)
        await becomes(customer, recording_id, lambda recording: recording["stitching"]["status"] == "running")
    return recording_id, tones


async def assert_joined_once(inside, listener, customer, recording_id, tones):
    await completed(customer, recording_id)
    assert await inside.tones(recording_id, LONG_TONE_S) == tones
    await everything_told_once(inside, listener, [recording_id])
    held = {inside.recording(recording_id)["media"][-1]["object_key"]}
    await until(lambda: set(inside.keys(customer.id, recording_id)) == held)  # no chunks, no second result


async def test_the_stitcher_killed_while_it_joins_is_followed_by_one_that_joins_once(fragile, customer, receiver, inside):
    listener = await Listener.at(receiver, customer)
    recording_id, tones = await joining(fragile, inside, customer)
    await killed(fragile, "stitcher")
    assert inside.recording(recording_id)["job"]["status"] == "running"
    await started(fragile, "stitcher")
    await assert_joined_once(inside, listener, customer, recording_id, tones)
    assert inside.recording(recording_id)["job"]["token"] == 2


async def test_a_killed_worker_of_the_stitcher_is_replaced_and_its_job_done_again(fragile, customer, receiver, inside):
    listener = await Listener.at(receiver, customer)
    service = fragile.stack.services["stitcher"].child.pid
    workers = children(service)
    recording_id, tones = await joining(fragile, inside, customer)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert inside.recording(recording_id)["job"]["status"] == "running"
    await assert_joined_once(inside, listener, customer, recording_id, tones)
    await until(lambda: len(children(service)) == len(workers))
    assert fragile.stack.services["stitcher"].child.pid == service


async def test_the_transcriber_killed_at_work_is_followed_by_one_that_transcribes_once(
    fragile, customer, receiver, inside, sentence
):
    listener = await Listener.at(receiver, customer)
    recording_id = await spoken(fragile, inside, customer, sentence)
    workers = children(fragile.stack.services["transcriber"].child.pid)
    await killed(fragile, "transcriber")
    (kept,) = inside.transcriptions(recording_id)
    assert kept["job"]["status"] == "running"
    await until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))  # they do not outlive it
    await started(fragile, "transcriber")
    await assert_understood_once(inside, listener, customer, recording_id, sentence[1])


async def test_a_killed_worker_of_the_transcriber_is_replaced_and_its_job_done_again(
    fragile, customer, receiver, inside, sentence
):
    listener = await Listener.at(receiver, customer)
    service = fragile.stack.services["transcriber"].child.pid
    recording_id = await spoken(fragile, inside, customer, sentence)
    (worker,) = children(service)
    os.kill(worker, signal.SIGKILL)
    (kept,) = inside.transcriptions(recording_id)
    assert kept["job"]["status"] == "running"
    await assert_understood_once(inside, listener, customer, recording_id, sentence[1])
    await until(lambda: len(children(service)) == 1)
    assert worker not in children(service)
    assert fragile.stack.services["transcriber"].child.pid == service


async def test_the_webhook_service_killed_within_a_delivery_repeats_it_with_the_same_bytes(fragile, customer, receiver, inside):
    arrived, released = asyncio.Event(), asyncio.Event()

    async def hold(_request):
        arrived.set()
        await asyncio.wait_for(released.wait(), DEADLINE_S)
        return web.Response()

    receiver.script.append(hold)
    listener = await Listener.at(receiver, customer)
    recording = await customer.open()
    await arrived.wait()
    await killed(fragile, "webhooks")
    released.set()
    await customer.put_chunks(recording, {1: tone(77)})
    assert (await customer.finalize(recording["id"], 1)).status == 200
    await completed(customer, recording["id"])
    assert [heard.json["type"] for heard in listener.heard] == ["recording.created"]
    await started(fragile, "webhooks")
    await everything_told_once(inside, listener, [recording["id"]])
    counts = Counter(heard.json["type"] for heard in listener.heard)
    assert counts == dict.fromkeys(STREAMED, 1) | {"recording.created": 2}
