"""What is done next with an order at a provider, and when, in every state that it can be left in."""

from datetime import timedelta

import msgspec
import pytest

from services.transcriber.remote_rules import RemoteRules, Step
from shared.domain.clock import now
from shared.domain.transcription import ProviderName, RemoteJob

AT = now()
RULES = RemoteRules(time_limit_s=3600, callback_limit_s=600)


def left(age_s=0.0, **fields):
    ages = {name: AT - timedelta(seconds=fields.pop(name)) for name in ("asked_at", "answered_at") if name in fields}
    return RemoteJob(provider=ProviderName.DEEPGRAM, placed_at=AT - timedelta(seconds=age_s), **ages, **fields)


@pytest.mark.parametrize(
    ("remote", "step"),
    [
        (None, Step.PLACE),
        (left(), Step.PLACE),
        (left(job_id="j"), Step.COLLECT),
        (left(3601), Step.GIVE_UP),
        (left(3601, job_id="j"), Step.GIVE_UP),
        (left(asked_at=0), Step.AWAIT),
        (left(asked_at=599, job_id="j"), Step.AWAIT),
        (left(601, asked_at=601), Step.PLACE),
        (left(601, asked_at=601, job_id="j"), Step.GIVE_UP),
        (left(3601, asked_at=1), Step.GIVE_UP),
        (left(asked_at=1, answered_at=0), Step.READ),
        (left(9999, asked_at=9000, answered_at=8000, job_id="j"), Step.READ),
    ],
)
def test_the_next_step_follows_from_how_the_order_was_left(remote, step):
    assert RULES.next_step(remote, AT) is step


@pytest.mark.parametrize(
    ("remote", "pause_s"),
    [
        (None, 0.0),
        (left(job_id="j"), 2.0),
        (left(100, job_id="j"), 10.0),
        (left(2000, job_id="j"), 30.0),
        (left(asked_at=0), 600.0),
        (left(100, asked_at=100, job_id="j"), 500.0),
        (left(3500, asked_at=10), 100.0),
        (left(4000, asked_at=10), 0.0),
        (left(100, asked_at=100, answered_at=1), 0.0),
    ],
)
def test_it_is_looked_at_again_when_something_may_have_come_of_it(remote, pause_s):
    assert RULES.pause_s(remote, AT) == pytest.approx(pause_s)


@pytest.mark.parametrize(
    ("remote", "asked_s", "pause_s"),
    [
        (left(failures=1), None, 4.0),
        (left(failures=3), None, 16.0),
        (left(failures=20), None, 300.0),
        (left(failures=1), 90.0, 90.0),
        (left(failures=1, asked_at=0), 90.0, 600.0),
        (left(failures=1, asked_at=5, answered_at=0), 90.0, 0.0),
    ],
)
def test_after_a_failure_it_is_tried_again_later_and_later_but_what_may_be_answered_is_awaited(remote, asked_s, pause_s):
    assert RULES.pause_after_failure_s(remote, AT, asked_s) == pytest.approx(pause_s)


def test_an_order_kept_before_there_were_callbacks_is_still_read():
    kept = msgspec.json.decode(b'{"provider":"assemblyai","placed_at":"2026-11-21T10:00:00Z","job_id":"j"}', type=RemoteJob)
    assert (kept.asked_at, kept.answered_at) == (None, None)
