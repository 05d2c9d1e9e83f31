"""Sealing: opens where it was sealed for, under any key that was given, and nowhere else."""

import base64

import pytest

from shared.domain.errors import TransientFailure
from shared.sealing import KeyNotGiven, SealBroken, Sealing
from tests.fakes.sealing import OTHER_SEALING_KEY, SEALING_KEY, a_sealing


@pytest.mark.parametrize("text", ["", "whsec_abc", "Schlüssel für Zürich", "x" * 10_000])
def test_what_was_sealed_opens_where_it_was_sealed_for(text):
    sealing = a_sealing()
    sealed = sealing.seal(text, "endpoints/we_1")
    assert sealing.open(sealed, "endpoints/we_1") == text
    assert text == "" or text not in sealed


def test_the_same_text_is_never_sealed_the_same_twice():
    sealing = a_sealing()
    assert sealing.seal("text", "here") != sealing.seal("text", "here")


def test_it_does_not_open_elsewhere():
    sealing = a_sealing()
    with pytest.raises(SealBroken):
        sealing.open(sealing.seal("text", "endpoints/we_1"), "endpoints/we_2")


def test_a_changed_text_does_not_open():
    sealing = a_sealing()
    head, _, content = sealing.seal("text", "here").rpartition(":")
    raw = bytearray(base64.b64decode(content))
    raw[-1] ^= 1
    for broken in (f"{head}:{base64.b64encode(raw).decode()}", f"{head}:", f"{head}:!", "text", ""):
        with pytest.raises(SealBroken):
            sealing.open(broken, "here")


def test_an_older_key_opens_and_the_first_one_seals():
    old, both = a_sealing(SEALING_KEY), a_sealing(OTHER_SEALING_KEY, SEALING_KEY)
    sealed = old.seal("text", "here")
    assert both.open(sealed, "here") == "text"
    assert not both.is_current(sealed)
    assert both.is_current(both.seal("text", "here"))


def test_a_key_that_was_not_given_is_somebody_elses_fault_and_may_be_mended():
    sealed = a_sealing(OTHER_SEALING_KEY).seal("text", "here")
    with pytest.raises(KeyNotGiven) as raised:
        a_sealing().open(sealed, "here")
    assert isinstance(raised.value, TransientFailure)
    assert OTHER_SEALING_KEY not in str(raised.value)


@pytest.mark.parametrize("keys", [(), ("",), ("c2hvcnQ=",), ("not base64 at all",)])
def test_keys_of_another_length_are_refused(keys):
    with pytest.raises(ValueError):
        Sealing(keys)
