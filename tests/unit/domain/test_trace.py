"""A trace: who it begins with, who works for it, and what remembers it."""

import asyncio
import re

import pytest

from shared.domain.clock import now
from shared.domain.job import Job, JobKind
from shared.domain.trace import current_trace, trace_of, traced
from shared.events.codec import decode, encode
from shared.messaging.publisher import message_of
from tests.fakes.webhook_facts import a_completion, a_creation

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_trace_of_a_traceparent_is_used():
    assert trace_of(f"00-{TRACE}-00f067aa0ba902b7-01") == TRACE
    assert trace_of(f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-bring") == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        TRACE,
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01\n",
    ],
)
def test_without_a_good_traceparent_each_request_begins_a_trace_of_its_own(traceparent):
    first, second = trace_of(traceparent), trace_of(traceparent)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert len({first, second, TRACE}) == 3


async def test_a_task_works_for_the_trace_that_it_was_begun_in():
    with traced("outer"):
        with traced("inner"):
            begun = asyncio.create_task(asyncio.to_thread(current_trace))
        assert current_trace() == "outer"
        with traced(None):
            assert current_trace() is None
    assert await begun == "inner"
    assert current_trace() is None


def test_an_event_and_its_message_remember_the_trace_they_were_made_in():
    with traced(TRACE):
        events = [a_creation(), a_completion()]
    assert [event.trace_id for event in events] == [TRACE, TRACE]
    assert decode(encode(events[0])).trace_id == TRACE
    assert ("trace_id", TRACE.encode()) in message_of(events[0]).headers
    assert "trace_id" not in dict(message_of(a_creation()).headers)


def test_a_job_keeps_the_trace_of_whoever_queued_it():
    with traced(TRACE):
        job = Job(id="job_1", kind=JobKind.STITCH, queued_at=now(), available_at=now())
    with traced("another"):
        assert job.claimed("worker", now(), 10).handed_back(now(), 0, counted=True).trace_id == TRACE
