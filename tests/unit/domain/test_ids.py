"""Ids: unique, sortable by time, within what published clients accept, and derivable."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import (
    derived_id,
    event_id,
    later_derived_id,
    made_since,
    new_id,
    same_but_for_time,
    sorted_after,
)

CLIENT_PATTERN = re.compile(r"^(rec|txn|eu|dev|proj|sum|evt)_[A-Za-z0-9]{1,64}$")


def test_ten_thousand_new_ids_are_distinct_and_acceptable_to_clients():
    ids = [new_id("rec") for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert all(CLIENT_PATTERN.match(one) and len(one) == len("rec_") + 26 for one in ids)


def test_ids_minted_in_one_go_ascend_even_within_a_millisecond():
    ids = [new_id("rec") for _ in range(10_000)]
    assert ids == sorted(ids)


def test_ids_minted_by_many_threads_are_distinct():
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: new_id("rec"), range(5_000)))
    assert len(set(ids)) == len(ids)


def test_ids_ascend_while_the_clock_stands_still_or_goes_back(monkeypatch):
    first, at = new_id("rec"), time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: at - 5_000_000_000)
    ids = [first, *(new_id("rec") for _ in range(1_200_000))]  # more than a millisecond has numbers
    assert all(map(str.__lt__, ids, ids[1:]))


def test_a_later_id_sorts_after_an_earlier_one():
    earlier = new_id("rec")
    time.sleep(0.002)
    assert new_id("rec") > earlier


@given(st.text(min_size=1), st.text(min_size=1), st.integers(1, 10**9))
def test_an_event_id_is_the_same_for_the_same_facts_and_another_for_others(first, second, version):
    aggregate = new_id("rec")
    assert event_id(aggregate, first, version) == event_id(aggregate, first, version)
    assert event_id(aggregate, first, version) != event_id(aggregate, first, version + 1)
    assert (event_id(aggregate, first, version) == event_id(aggregate, second, version)) == (first == second)
    assert CLIENT_PATTERN.match(event_id(aggregate, first, version))


def test_a_derived_id_sorts_with_its_source():
    aggregate = new_id("rec")
    assert derived_id("evt", aggregate, "x")[4:14] == aggregate[4:14]


def test_what_is_derived_from_two_sources_of_one_millisecond_differs():
    first, second = f"rec_01M7YV0W4M{0:016}", f"rec_01M7YV0W4M{1:016}"
    assert derived_id("evt", first, "x", 1) != derived_id("evt", second, "x", 1)


def test_an_id_derived_for_a_moment_sorts_at_that_moment():
    before, at = new_id("txn"), time.time_ns() // 1_000_000 + 60_000
    assert before < later_derived_id("txn", at, "a") < later_derived_id("txn", at + 1, "a")


@given(st.integers(1, 2**48 - 2))
def test_an_id_was_made_since_its_moment_and_all_before_and_not_since_a_later_one(moment_ms):
    for some_id in (later_derived_id("rec", moment_ms, "a"), derived_id("evt", later_derived_id("rec", moment_ms, "a"), "b")):
        assert made_since(some_id, moment_ms)
        assert made_since(some_id, moment_ms - 1)
        assert not made_since(some_id, moment_ms + 1)


@given(moments_ms=st.tuples(st.integers(0, 2**48 - 2), st.integers(0, 2**48 - 2)))
def test_an_id_is_moved_behind_another_only_where_it_does_not_sort_there(moments_ms):
    mine, other = (later_derived_id("txn", moment_ms, fact) for moment_ms, fact in zip(moments_ms, "ab", strict=True))
    moved = sorted_after(mine, other)
    assert moved > other
    assert moved == (mine if mine > other else later_derived_id("txn", moments_ms[1] + 1, "a"))
    assert sorted_after(mine, moved) != mine
    assert same_but_for_time(moved, mine)
    assert not same_but_for_time(moved, other)
