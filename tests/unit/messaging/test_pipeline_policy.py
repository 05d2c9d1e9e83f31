"""How long messages are tried, and how many may be given up."""

import logging
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.tenant import Mode
from shared.events.codec import encode
from shared.events.recording import UploadClaimed
from shared.messaging.client_logs import CHATTY, damp_client_logs
from shared.messaging.pipeline import Outcome, Pipeline, RetryPolicy

CLAIMED = UploadClaimed(event_id="evt_1", project_id="proj_1", mode=Mode.LIVE, recording_id="rec_1", version=1, occurred_at=now())


@given(st.integers(1, 60))
def test_delays_double_up_to_a_ceiling_with_jitter(attempt):
    policy = RetryPolicy(first_delay_s=0.1, most_delay_s=3)
    ceiling = min(3, 0.1 * 2 ** (attempt - 1))
    assert ceiling / 2 <= policy.delay_s(attempt) <= ceiling


def test_only_a_message_handed_back_is_not_settled():
    assert [outcome for outcome in Outcome if not outcome.settled] == [Outcome.HANDED_BACK]


def test_the_client_says_the_same_thing_once_in_a_while(caplog):
    damp_client_logs()
    damp_client_logs()
    logger = logging.getLogger(CHATTY[0])
    for port in range(50):
        logger.warning("no broker at %s", port)
    logger.warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["no broker at 0", "something else"]


class NoGrave:
    """Takes no dead letter, for a reason that nobody foresaw."""

    flooded = False

    def __init__(self):
        self.asked = 0

    async def bury(self, record, error, attempts):
        self.asked += 1
        raise AttributeError


@pytest.mark.parametrize(("failures", "outcome"), [(20, Outcome.OK), (10_000, Outcome.HANDED_BACK)])
async def test_an_outage_however_long_gives_no_message_up(failures, outcome):
    called = 0

    async def on_upload_claimed(_claimed):
        nonlocal called
        called += 1
        if called <= failures:
            raise TransientFailure("the database is away")

    policy = RetryPolicy(first_delay_s=0.001, most_delay_s=0.001, transient_budget_s=2.0 if failures > 20 else 60.0)
    grave = NoGrave()
    pipeline = Pipeline("test", {UploadClaimed: on_upload_claimed}, grave, policy)
    record = SimpleNamespace(topic=CLAIMED.type, partition=0, offset=0, timestamp=0, headers=(), key=b"", value=encode(CLAIMED))
    assert await pipeline.handle(record) is outcome
    assert called > policy.unforeseen_attempts
    assert grave.asked == 0


async def test_a_message_that_cannot_be_buried_is_handed_back():
    grave = NoGrave()
    pipeline = Pipeline("test", {}, grave, RetryPolicy())
    record = SimpleNamespace(topic=CLAIMED.type, partition=0, offset=0, timestamp=0, headers=(), key=b"", value=b"poison")
    assert await pipeline.handle(record) is Outcome.HANDED_BACK
    assert grave.asked == 1
