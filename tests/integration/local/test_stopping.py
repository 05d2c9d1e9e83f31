"""Signals that ask a command to stop."""

import signal
import time

import pytest

from deploy.local.stopping import as_interrupt

DEADLINE_S = 10


class AskedWhileCollected:
    """A destructor, in which Python drops every exception."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def asked_while_collected():
    AskedWhileCollected()
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        time.sleep(0.005)


def test_a_signal_that_falls_into_a_destructor_stops_the_command_all_the_same():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    with pytest.raises(KeyboardInterrupt), as_interrupt():
        asked_while_collected()
    assert {number: signal.getsignal(number) for number in before} == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_later_signals_do_not_disturb_the_clean_up():
    with as_interrupt():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
