"""How long messages are tried, and how many may be given up."""

import logging

from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.client_logs import CHATTY, damp_client_logs
from shared.messaging.pipeline import Outcome, RetryPolicy


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
