"""Speakers of separate stretches are one person when they sound alike, and never when one stretch tells them apart."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.transcriber.diarization.linking import Part, linked, unit

RNG = np.random.default_rng(5)
ANN, BEN, CAS = (unit(RNG.standard_normal(64).astype(np.float32)) for _ in range(3))


def like(voice, noise=0.05):
    return unit(voice + noise * RNG.standard_normal(64).astype(np.float32))


def test_the_same_voices_in_other_stretches_are_the_same_people():
    parts = [
        Part(0, like(ANN), 30),
        Part(0, like(BEN), 20),
        Part(1, like(BEN), 30),
        Part(1, like(ANN), 30),
        Part(2, like(ANN), 5),
    ]
    assert linked(parts) == [0, 1, 1, 0, 0]


def test_a_new_voice_is_a_new_person():
    assert linked([Part(0, like(ANN), 30), Part(1, like(CAS), 30), Part(2, like(ANN), 30)]) == [0, 1, 0]


def test_two_that_one_stretch_tells_apart_stay_two_however_alike():
    assert linked([Part(0, ANN, 30), Part(0, like(ANN, 0.01), 30), Part(1, ANN, 30)]) in ([0, 1, 0], [0, 1, 1])


def test_a_known_number_joins_the_most_alike_wherever_they_are():
    parts = [Part(0, like(ANN), 30), Part(0, like(ANN), 4), Part(1, like(BEN), 30), Part(1, like(BEN), 30)]
    assert linked(parts, people=2) == [0, 0, 1, 1]
    assert linked(parts, people=1) == [0, 0, 0, 0]
    assert linked(parts, people=9) == [0, 1, 2, 3]


def test_nobody_and_one_need_no_linking():
    assert linked([]) == []
    assert linked([Part(0, ANN, 1)], people=3) == [0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.1, 30)), max_size=14), st.one_of(st.none(), st.integers(1, 20)))
def test_people_are_numbered_in_order_and_stretches_respected(drawn, people):
    rng = np.random.default_rng(len(drawn))
    parts = [Part(number, unit(rng.standard_normal(8).astype(np.float32)), seconds) for number, seconds in drawn]
    owners = linked(parts, people)
    assert list(dict.fromkeys(owners)) == list(range(len(set(owners))))
    if people is None:
        together = [(part.number, owner) for part, owner in zip(parts, owners, strict=True)]
        assert len(set(together)) == len(together)
    else:
        assert len(set(owners)) == min(people, len(parts))
