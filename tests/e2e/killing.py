"""Killing members of the platform in the middle of their work, and the proof that everything was done and told once."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from deploy.local.demo.speech import ogg_opus
from tests.e2e.evidence import Evidence
from tests.e2e.watching import STREAMED, becomes, completed, until
from tests.processes import suspend
from tests.speech import word_error_rate
from tests.stack import RunningStack


async def killed(running, name):
    await asyncio.to_thread(running.kill, name)


async def started(running, name):
    await asyncio.to_thread(running.start_member, name)


async def everything_told_once(inside, listener, recording_ids):
    """Each event of each recording has one delivery; what was heard twice was the same; nothing waits any more."""
    for recording_id in recording_ids:
        await listener.hears(recording_id, *STREAMED)
        assert tuple(dict.fromkeys(listener.types(recording_id))) == STREAMED
    project_id = inside.recording(recording_ids[0])["project_id"]
    await until(lambda: inside.settled(project_id))
    await inside.assert_each_delivered_once(listener.id, set(STREAMED))
    listener.assert_repeats_are_equal()
    assert Counter(len(inside.transcriptions(one)) for one in recording_ids) == {1: len(recording_ids)}
    assert Counter(len(inside.transcripts(one)) for one in recording_ids) == {1: len(recording_ids)}


def children(pid):
    """The process ids of the processes that `pid` started."""
    found = [Path(task, "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return [int(child) for text in found for child in text.split()]


@asynccontextmanager
async def held(running: RunningStack, inside: Evidence, name: str) -> AsyncIterator[None]:
    """Let a service's workers stand still within the block, so that what they are given there does not end before it is seen.

    They are free then: what an earlier test left to them has ended.
    """
    await until(inside.idle)
    workers = children(running.stack.services[name].child.pid)
    try:
        for worker in workers:
            await asyncio.to_thread(suspend, worker)
        yield
    finally:
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)


async def spoken(running, inside, customer, sentence):
    """A recording of one sentence, whose transcription has just begun; its id."""
    async with held(running, inside, "transcriber"):
        recording_id = await customer.stream([ogg_opus(sentence[0])])
        await becomes(customer, recording_id, lambda recording: recording["status"] == "processing")
    return recording_id


async def assert_understood_once(inside, listener, customer, recording_id, text):
    done = await completed(customer, recording_id)
    transcription = await customer.transcription(done["transcription_id"])
    assert word_error_rate(text, transcription["text"]) <= 0.10
    await everything_told_once(inside, listener, [recording_id])
    (kept,) = inside.transcriptions(recording_id)
    assert kept["job"]["token"] == 2  # claimed once more, and no oftener
