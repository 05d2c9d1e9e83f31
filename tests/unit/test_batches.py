"""Batches: an outcome is never older than its question, and nobody suffers for another."""

import asyncio

import pytest

from shared import batches as module
from shared.batches import _MOST_ITEMS, AT_ONCE, ONE_BY_ONE, Batches


class Work:
    """Answers each item with what the world was like when the work on it began; ends when it is let go."""

    def __init__(self):
        self.world = 0
        self.begun = []  # (items, what lets them go)
        self.held = True

    async def __call__(self, items):
        seen, go = self.world, asyncio.Event()
        self.begun.append((list(items), go))
        if self.held:
            await go.wait()
        return [ValueError(item) if item == "bad" else (item, seen) for item in items]

    def let_go(self):
        for _, go in self.begun:
            go.set()


async def turns():
    """Let everything that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def asked(batches, *items):
    tasks = [batches(item) for item in items]
    await turns()
    return tasks


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def batches(work):
    return Batches(work)


async def test_a_lonely_item_goes_at_once(work, batches):
    work.held = False
    assert await batches("a") == ("a", 0)


async def test_what_comes_meanwhile_goes_together(work, batches):
    await asked(batches, "a")
    await asked(batches, "b")
    waiting = await asked(batches, "c", "d", "e")
    assert [items for items, _ in work.begun] == [["a"], ["b"]]
    work.let_go()
    await turns()
    assert work.begun[2][0] == ["c", "d", "e"]
    work.let_go()
    assert [item for item, _ in await asyncio.gather(*waiting)] == ["c", "d", "e"]


async def test_an_answer_is_never_older_than_its_question(work, batches):
    for number in range(AT_ONCE):
        await asked(batches, f"early {number}")
    work.world = 1  # the world changes while queries are under way
    (late,) = await asked(batches, "early 0")
    work.let_go()
    await turns()
    work.let_go()
    assert await late == ("early 0", 1)


async def test_under_a_crowd_every_answer_is_new_enough(work, batches):
    work.held = False

    async def ask(number):
        for _ in range(number % 5):
            await asyncio.sleep(0)
        work.world += 1
        before = work.world
        item, seen = await batches(number)
        assert item == number
        assert seen >= before

    await asyncio.gather(*(ask(number) for number in range(3 * _MOST_ITEMS)))
    assert all(len(items) <= _MOST_ITEMS for items, _ in work.begun)
    assert len(work.begun) < _MOST_ITEMS


async def test_an_error_of_one_item_is_its_own(work, batches):
    work.held = False
    good, bad, other = await asyncio.gather(*(batches(item) for item in ("a", "bad", "b")), return_exceptions=True)
    assert (good[0], type(bad), other[0]) == ("a", ValueError, "b")


async def test_a_failed_round_trip_reaches_everyone_in_it_and_nobody_after():
    down = True

    async def work(items):
        await asyncio.sleep(0)
        if down:
            raise ConnectionError("gone")
        return list(items)

    batches = Batches(work)
    outcomes = await asyncio.gather(*(batches(number) for number in range(10)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 10
    down = False
    assert await batches(11) == 11


async def test_one_that_goes_away_harms_none(work, batches):
    gone, *staying = await asked(batches, "a", "b", "c")
    gone.cancel()
    await turns()
    work.let_go()
    await turns()
    work.let_go()
    assert [item for item, _ in await asyncio.gather(*staying)] == ["b", "c"]
    assert gone.cancelled()


async def test_whoever_asks_anew_the_moment_all_answers_come_is_not_left_waiting(work, batches):
    async def ask_twice(item):
        await batches(item)
        return await batches(item)

    asking = asyncio.create_task(ask_twice("a"))
    await turns()
    others = await asked(batches, *range(1, AT_ONCE))
    assert len(work.begun) == AT_ONCE  # all round trips are under way, and they end at the same moment
    work.held = False
    work.let_go()
    async with asyncio.timeout(5):
        await asyncio.gather(*others)
        assert await asking == ("a", 0)


async def test_one_by_one_all_that_comes_meanwhile_goes_together(work):
    batches = Batches(work, ONE_BY_ONE)
    first = await asked(batches, "a")
    waiting = await asked(batches, "b", "c")
    assert [items for items, _ in work.begun] == [["a"]]
    work.let_go()
    await turns()
    assert work.begun[1][0] == ["b", "c"]
    work.let_go()
    assert [item for item, _ in await asyncio.gather(*first, *waiting)] == ["a", "b", "c"]


@pytest.fixture
def patient(work, monkeypatch):
    monkeypatch.setattr(module, "_MOST_PATIENCE_S", 3600.0)
    return Batches(work, ONE_BY_ONE, patience=1e9)


async def test_a_crowd_that_was_answered_goes_together_again(work, patient):
    work.held = False
    first = await asked(patient, "a", "b", "c")
    early = await asked(patient, "d")
    assert [items for items, _ in work.begun] == [["a", "b", "c"]]  # the other two may be back soon
    late = await asked(patient, "e", "f")
    assert work.begun[1][0] == ["d", "e", "f"]
    assert [item for item, _ in await asyncio.gather(*first, *early, *late)] == list("abcdef")


async def test_a_crowd_in_two_groups_becomes_one(work, patient):
    first = await asked(patient, "a")
    second = await asked(patient, "b", "c")
    work.let_go()
    await turns()
    work.let_go()
    third = await asked(patient, "d")
    assert [items for items, _ in work.begun] == [["a"], ["b", "c", "d"]]
    work.let_go()
    assert [item for item, _ in await asyncio.gather(*first, *second, *third)] == list("abcd")


async def test_who_asks_alone_waits_for_nobody(work, patient):
    work.held = False
    async with asyncio.timeout(5):
        assert [await patient(item) for item in "abc"] == [(item, 0) for item in "abc"]


async def test_those_that_do_not_come_back_are_not_waited_for_long(work):
    work.held = False
    patient = Batches(work, ONE_BY_ONE, patience=1e9)
    await asyncio.gather(*(patient(item) for item in "abc"))
    async with asyncio.timeout(5):
        assert await patient("d") == ("d", 0)
