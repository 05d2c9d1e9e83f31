"""Transcribers that die, stand still or are told to stop, with real Whisper and with a provider on the network."""

import asyncio
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import numpy as np

from deploy.local.demo.speech import ogg_opus
from tests.e2e.audio import tone, wav
from tests.e2e.killing import assert_understood_once, children, everything_told_once, killed, spoken, started
from tests.e2e.watching import DEADLINE_S, LOOK_S, Listener, becomes, completed, until
from tests.fakes.speech_providers import SPOKEN
from tests.processes import suspend

WITHIN_SECONDS = 6.0  # a worker is told of a cancellation at the next renewal of its lease


async def test_the_transcriber_and_its_worker_killed_at_once_are_followed_by_ones_that_transcribe_once(
    fragile, customer, receiver, inside, sentence
):
    listener = await Listener.at(receiver, customer)
    recording_id = await spoken(fragile, inside, customer, sentence)
    for worker in children(fragile.stack.services["transcriber"].child.pid):
        os.kill(worker, signal.SIGKILL)
    await killed(fragile, "transcriber")
    await started(fragile, "transcriber")
    await assert_understood_once(inside, listener, customer, recording_id, sentence[1])


async def test_a_replica_that_stood_still_loses_its_job_to_another_and_writes_nothing(
    fragile, customer, receiver, inside, sentence
):
    listener = await Listener.at(receiver, customer)
    first = fragile.stack.services["transcriber"].child.pid
    still = [first, *children(first)]
    recording_id = await spoken(fragile, inside, customer, sentence)
    for process in still:
        suspend(process)
    try:
        async with fragile.another("transcriber"):
            await assert_understood_once(inside, listener, customer, recording_id, sentence[1])
            (text,) = inside.transcripts(recording_id)
            for process in still:
                os.kill(process, signal.SIGCONT)
            await until(lambda: "jobs.lease_lost" in fragile.log_of("transcriber"))
            assert inside.transcripts(recording_id) == [text]
            assert text["token"] == 2
            more = [await customer.stream([ogg_opus(sentence[0])]) for _ in range(2)]
            for one in more:
                await completed(customer, one)
                assert [kept["job"]["token"] for kept in inside.transcriptions(one)] == [1]
        await everything_told_once(inside, listener, [recording_id, *more])
    finally:
        for process in still:
            with suppress(ProcessLookupError):  # one that lost its lease has ended its worker
                os.kill(process, signal.SIGCONT)


async def long_talk(customer, speech):
    """A recording of minutes of speech, probed and not transcribed; its id."""
    data = await asyncio.to_thread(wav, np.tile(speech, 10))
    recording_id = await customer.upload(data, content_type="audio/wav")
    await becomes(customer, recording_id, lambda recording: recording["duration_ms"] is not None)
    return recording_id


async def under_way(customer, recording_id):
    """The id of a new transcription of the recording, and what is shown of it once some text is."""
    asked = await customer.client.post("/v1/transcriptions", {"recording_id": recording_id, "language": "en"}, expect=201)
    async with asyncio.timeout(DEADLINE_S):
        while not (shown := await customer.transcription(asked["id"]))["segments"]:
            assert shown["status"] in ("pending", "processing"), shown
            await asyncio.sleep(LOOK_S)
    return shown


async def first_progress(running, customer, recording_id):
    """The first progress in the recording's stream of events."""
    url, headers = f"{running.api_url}/v1/recordings/{recording_id}/events", customer.client._headers
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session, session.get(url, headers=headers) as stream:
        kind = b""
        async for line in stream.content:
            kind = line if line.startswith(b"event: ") else kind
            if kind == b"event: transcription.progress\n" and line.startswith(b"data: "):
                progress = json.loads(line.removeprefix(b"data: "))["data"]["progress"]
                if progress and progress["percent"]:
                    return progress
    raise AssertionError("the stream ended")


async def assert_freed(running, worker, since):
    """The worker process has ended, and another stands ready in its place."""
    service = running.stack.services["transcriber"].child.pid
    await until(lambda: not Path(f"/proc/{worker}").exists())
    assert time.monotonic() - since < WITHIN_SECONDS
    await until(lambda: len(children(service)) == 1)


async def test_a_transcription_is_seen_growing_and_stops_within_seconds_when_cancelled_or_deleted(
    fragile, customer, inside, speech, sentence
):
    recording_id = await long_talk(customer, speech)
    following = asyncio.create_task(first_progress(fragile, customer, recording_id))
    shown = await under_way(customer, recording_id)
    assert 0 < shown["progress"]["percent"] < 100
    assert shown["progress"]["stage"]
    assert (shown["status"], shown["text"]) == ("processing", None)
    assert "".join(segment["text"] for segment in shown["segments"])
    assert 0 < (await following)["percent"] < 100
    (worker,) = children(fragile.stack.services["transcriber"].child.pid)
    since = time.monotonic()
    answer = await customer.client.post(f"/v1/transcriptions/{shown['id']}/cancel", {})
    assert (answer["status"], answer["error"]["code"]) == ("failed", "cancelled")
    await assert_freed(fragile, worker, since)

    shown = await under_way(customer, recording_id)
    (worker,) = children(fragile.stack.services["transcriber"].child.pid)
    since = time.monotonic()
    assert (await customer.client.call("DELETE", f"/v1/recordings/{recording_id}")).status == 204
    await assert_freed(fragile, worker, since)
    await until(lambda: not inside.texts_of(recording_id, shown["id"]))
    await completed(customer, await customer.stream([ogg_opus(sentence[0])]))


def noted_orders(inside, recording_id):
    """The provider's own ids of a recording's orders, as they are kept here."""
    return [kept["remote"]["job_id"] for kept in inside.transcriptions(recording_id) if kept["remote"]]


async def test_an_order_at_a_provider_is_resumed_by_the_next_transcriber_and_placed_once(
    fragile, customer, receiver, inside, assemblyai
):
    await customer.configure(auto_transcription={"enabled": True, "provider": "assemblyai"})
    listener = await Listener.at(receiver, customer)
    recording_id = await customer.stream([tone(1)])
    await until(lambda: noted_orders(inside, recording_id) == list(assemblyai.jobs) != [])
    await killed(fragile, "transcriber")
    await started(fragile, "transcriber")
    done = await completed(customer, recording_id)
    transcription = await customer.transcription(done["transcription_id"])
    assert (transcription["provider"], transcription["text"]) == ("assemblyai", " ".join(word for word, *_ in SPOKEN))
    assert [asked.path for asked in assemblyai.asked if asked.method == "POST"] == ["/v2/upload", "/v2/transcript"]
    await everything_told_once(inside, listener, [recording_id])
    await until(lambda: assemblyai.deleted == noted_orders(inside, recording_id))
    assert assemblyai.jobs == {}


async def test_a_callback_is_taken_while_no_transcriber_lives_and_the_next_one_completes_what_was_ordered_once(
    fragile, customer, receiver, inside, deepgram
):
    await customer.configure(auto_transcription={"enabled": True, "provider": "deepgram"})
    listener = await Listener.at(receiver, customer)
    recording_id = await customer.stream([tone(1)])
    await until(lambda: len(noted_orders(inside, recording_id)) == 1 and noted_orders(inside, recording_id)[0] is not None)
    await killed(fragile, "transcriber")
    assert [await deepgram.called_back(), await deepgram.called_back()] == [200, 200]
    await started(fragile, "transcriber")
    done = await completed(customer, recording_id)
    transcription = await customer.transcription(done["transcription_id"])
    assert (transcription["provider"], transcription["text"]) == ("deepgram", " ".join(word for word, *_ in SPOKEN))
    assert len(deepgram.asked) == 1
    await everything_told_once(inside, listener, [recording_id])
    token = deepgram.orders[0]["callback"].rpartition("/")[2]
    assert all(token not in fragile.log_of(name) for name in ("ingest", "transcriber"))


async def test_a_transcriber_killed_while_its_order_is_taken_orders_nothing_twice(fragile, customer, receiver, inside, deepgram):
    await customer.configure(auto_transcription={"enabled": True, "provider": "deepgram"})
    listener = await Listener.at(receiver, customer)

    async def killed_meanwhile():
        await killed(fragile, "transcriber")

    deepgram.before_accepting = killed_meanwhile
    recording_id = await customer.stream([tone(1)])
    await until(lambda: len(deepgram.orders) == 1 and fragile.stack.services["transcriber"].child.pid is None)
    assert noted_orders(inside, recording_id) == [None]
    await started(fragile, "transcriber")
    assert await deepgram.called_back() == 200
    done = await completed(customer, recording_id)
    assert (await customer.transcription(done["transcription_id"]))["provider"] == "deepgram"
    assert len(deepgram.asked) == 1
    await everything_told_once(inside, listener, [recording_id])


async def test_what_kills_its_worker_twice_goes_to_the_next_provider_of_the_projects_list(
    fragile, customer, inside, assemblyai, speech
):
    await customer.configure(failover_providers=["assemblyai"])
    service = fragile.stack.services["transcriber"].child.pid
    recording_id = await long_talk(customer, speech)
    asked = await customer.client.post("/v1/transcriptions", {"recording_id": recording_id, "language": "en"}, expect=201)

    def is_at_work(claim):
        (kept,) = inside.transcriptions(recording_id)
        return kept["job"]["token"] == claim and (kept["progress"] or {}).get("stage") == "transcribing"

    for claim in (1, 2):
        await until(lambda claim=claim: is_at_work(claim))
        (worker,) = children(service)
        os.kill(worker, signal.SIGKILL)
    await until(lambda: inside.transcriptions(recording_id)[0]["status"] not in ("pending", "processing"))
    done = await customer.transcription(asked["id"])
    assert (done["error"], done["provider"], done["text"]) == (None, "assemblyai", " ".join(word for word, *_ in SPOKEN))
    assert [order.json["language_code"] for order in assemblyai.asked if order.path == "/v2/transcript" and order.json] == ["en"]
    assert fragile.stack.services["transcriber"].child.pid == service
    await until(lambda: len(children(service)) == 1)
