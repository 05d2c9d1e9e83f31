"""When a failed delivery is attempted again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.schedule import RETRY_AFTER_MOST_S, Schedule, retry_after_s
from services.webhooks.settings import WebhookSettings
from shared.settings import SettingsError, load

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
CONTRACT = Schedule(WebhookSettings().webhooks_schedule_s)

pauses = st.lists(st.floats(0, 1e5), min_size=1, max_size=10).map(lambda rest: Schedule((0.0, *rest)))
draws = st.floats(0, 1)


def test_the_default_schedule_is_that_of_the_contract():
    again = [CONTRACT.next_attempt_at(tries, AT, None, lambda: 0.5) for tries in range(1, 6)]
    assert [(at - AT).total_seconds() for at in again] == [60, 300, 1800, 7200, 28800]
    assert CONTRACT.next_attempt_at(6, AT, None) is None


def test_the_default_limits_are_those_of_the_contract():
    settings = WebhookSettings()
    assert (settings.webhooks_timeout_s, settings.webhooks_disable_after_s) == (30, 5 * 86_400)
    assert settings.webhooks_allow_private is False
    assert settings.webhooks_test_timeout_s < settings.webhooks_timeout_s


@given(pauses, st.integers(1, 12), draws)
def test_a_pause_varies_by_a_tenth_and_attempts_end_with_the_schedule(schedule, tries, draw):
    again_at = schedule.next_attempt_at(tries, AT, None, lambda: draw)
    if tries >= len(schedule.pauses_s):
        assert again_at is None
    else:
        pause_s = schedule.pauses_s[tries]
        assert 0.9 * pause_s - 1e-5 <= (again_at - AT).total_seconds() <= 1.1 * pause_s + 1e-5


def test_deliveries_that_failed_together_do_not_return_together():
    soonest, latest = (CONTRACT.next_attempt_at(1, AT, None, lambda drawn=drawn: drawn) for drawn in (0.0, 1.0))
    assert [(at - AT).total_seconds() for at in (soonest, latest)] == pytest.approx([54, 66])
    assert len({CONTRACT.next_attempt_at(1, AT, None) for _ in range(10)}) > 1


@given(pauses, draws, st.floats(0, 1e9))
def test_the_receiver_may_ask_for_more_time_but_not_for_less_or_for_ever(schedule, draw, asked_s):
    plain = schedule.next_attempt_at(1, AT, None, lambda: draw)
    again_at = schedule.next_attempt_at(1, AT, asked_s, lambda: draw)
    assert plain <= again_at
    assert (again_at - AT).total_seconds() <= max((plain - AT).total_seconds(), RETRY_AFTER_MOST_S)
    if asked_s <= RETRY_AFTER_MOST_S:
        assert again_at >= AT + timedelta(seconds=asked_s) - timedelta(microseconds=1)


@given(st.integers(0, 10**30))
def test_seconds_are_read_and_bounded(seconds):
    assert retry_after_s(str(seconds), AT) == min(seconds, RETRY_AFTER_MOST_S)


@given(st.integers(-100_000, 100_000))
def test_a_date_is_read_as_the_seconds_until_then(seconds):
    header = format_datetime(AT + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_s(header, AT) == min(max(0, seconds), RETRY_AFTER_MOST_S)


@given(st.text(max_size=60))
def test_whatever_a_receiver_writes_is_read_or_passed_over(header):
    asked_s = retry_after_s(header, AT)
    assert asked_s is None or 0 <= asked_s <= RETRY_AFTER_MOST_S


NO_DATES = ("Sat, 99 Nov 2026 10:00:00 GMT", f"Sat, 21 Nov {10**20} 10:00:00 GMT", f"Sat, 21 Nov 2026 10:00:00 +{10**20}")


@pytest.mark.parametrize("header", [None, "", "soon", "-5", "1.5", "١٢", *NO_DATES])
def test_nonsense_is_no_wish(header):
    assert retry_after_s(header, AT) is None


def test_a_date_without_a_zone_counts_as_utc():
    assert retry_after_s("Sat, 21 Nov 2026 10:01:00 -0000", AT) == 60


def test_settings_scale_the_schedule_and_refuse_what_cannot_work():
    assert load(WebhookSettings, {"EARWITNESS_WEBHOOKS_SCHEDULE_S": "0,1,2.5"}).webhooks_schedule_s == (0, 1, 2.5)
    assert WebhookSettings().lease_s > WebhookSettings().webhooks_timeout_s
    for name, value in [("SCHEDULE_S", "1,2"), ("SCHEDULE_S", "0,-1"), ("LEASE_S", "30"), ("HEADER_PREFIX", "X Bota:")]:
        with pytest.raises(SettingsError, match=f"EARWITNESS_WEBHOOKS_{name}"):
            load(WebhookSettings, {f"EARWITNESS_WEBHOOKS_{name}": value})
    assert msgspec.structs.replace(WebhookSettings(), webhooks_timeout_s=5, webhooks_lease_s=12).lease_s == 12
