"""Looks past the head of a queue: only while others are faster there, and soon no more."""

from shared.workers.rivals import Rivals

MANY = 300


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


def looks(rivals):
    return {rivals.places() for _ in range(MANY)}


def test_who_never_lost_looks_at_the_head():
    rivals = Rivals(Clock())
    rivals.won()
    assert looks(rivals) == {0}


def test_the_more_races_were_lost_the_further_it_looks_and_never_past_all_bounds():
    rivals, widths = Rivals(Clock()), []
    for _ in range(10):
        rivals.lost()
        widths.append(max(looks(rivals)))
    assert widths == [2, 4, 6, *[8] * 7]
    assert looks(rivals) == set(range(9))  # the head is among them: it is passed over for a moment at most


def test_it_is_remembered_at_the_next_claims_and_forgotten_by_those_that_are_won():
    rivals = Rivals(Clock())
    rivals.lost()
    rivals.won()
    assert looks(rivals) == {0, 1, 2}
    for _ in range(100):
        rivals.won()
    assert looks(rivals) == {0}


def test_after_a_second_without_a_lost_race_jobs_are_taken_in_their_order_again():
    clock = Clock()
    rivals = Rivals(clock)
    for _ in range(5):
        rivals.lost()
    clock.now_s += 0.9
    assert max(looks(rivals)) == 8
    clock.now_s += 0.2
    assert looks(rivals) == {0}
    rivals.lost()
    assert max(looks(rivals)) == 2  # begun anew, not where it was
