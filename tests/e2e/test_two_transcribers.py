"""Two replicas of the transcriber, each with one slot, and a job for each that outlasts many poll intervals."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest

from deploy.local.demo.speech import ogg_opus
from tests.e2e.evidence import Evidence
from tests.e2e.killing import children, everything_told_once
from tests.e2e.watching import Listener, becomes, completed, until
from tests.processes import suspend
from tests.speech import word_error_rate
from tests.stack import RunningStack, whole_lines

POLL_S = 2.5  # a busy machine lets a replica wait, too
LASTS = timedelta(seconds=4 * POLL_S)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack whose broker puts out of the group whoever does not read for so long."""
    running = RunningStack(tmp_path_factory.mktemp("impatient"), {"EARWITNESS_KAFKA_POLL_INTERVAL_MS": str(round(1000 * POLL_S))})
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture
def inside(impatient: RunningStack) -> Iterator[Evidence]:
    """The insides of that stack."""
    looking = Evidence(impatient)
    yield looking
    looking.close()


def lines(process, event):
    """What a replica logged under this name."""
    written = whole_lines(process.child.log).splitlines()
    return [line for line in map(json.loads, filter(None, written)) if line["event"] == event]


def leases(inside, recording_ids):
    """When the leases of the recordings' jobs end, in their order."""
    return [kept["job"]["available_at"] for one in recording_ids for kept in inside.transcriptions(one)]


async def held_up(customer, inside, replicas, sentence):
    """Two recordings of a sentence that are being transcribed, for as long as many polls take; their ids."""
    workers = [worker for replica in replicas for worker in children(replica.child.pid)]
    assert len(workers) == len(replicas)
    await until(lambda: all(lines(replica, "consumer.assigned") for replica in replicas))
    for worker in workers:
        suspend(worker)
    try:
        recording_ids = [await customer.stream([ogg_opus(sentence[0])]) for _ in replicas]
        for one in recording_ids:
            await becomes(customer, one, lambda recording: recording["status"] == "processing")
        since = leases(inside, recording_ids)
        joined = [len(lines(replica, "consumer.assigned")) for replica in replicas]
        await until(lambda: min(leases(inside, recording_ids)) >= max(since) + LASTS)
        assert [len(lines(replica, "consumer.assigned")) for replica in replicas] == joined
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
    return recording_ids, joined


async def test_two_replicas_do_a_long_job_each_once_and_no_job_makes_the_group_rebalance(
    impatient, project_in, receiver, inside, sentence
):
    customer = project_in(impatient)
    listener = await Listener.at(receiver, customer)
    async with impatient.another("transcriber") as second:
        replicas = [impatient.stack.services["transcriber"], second]
        recording_ids, joined = await held_up(customer, inside, replicas, sentence)
        for one in recording_ids:
            done = await completed(customer, one)
            transcription = await customer.transcription(done["transcription_id"])
            assert word_error_rate(sentence[1], transcription["text"]) <= 0.10
        await everything_told_once(inside, listener, recording_ids)
        done = [lines(replica, "transcribe.done") for replica in replicas]
        assert [[line["outcome"] for line in of_one] for of_one in done] == [["ok"], ["ok"]]
        assert sorted(line["recording_id"] for of_one in done for line in of_one) == sorted(recording_ids)
        assert all(line["duration_ms"] >= LASTS.total_seconds() * 1000 for of_one in done for line in of_one)
        assert [kept["job"]["token"] for one in recording_ids for kept in inside.transcriptions(one)] == [1, 1]
        assert [text["token"] for one in recording_ids for text in inside.transcripts(one)] == [1, 1]
        assert [len(lines(replica, "consumer.assigned")) for replica in replicas] == joined
        assert not any(lines(replica, "consumer.rejoining") for replica in replicas)
