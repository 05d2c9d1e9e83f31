"""Offsets: committed together, never before they are confirmed, and never by a member that is no more."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError, UnknownMemberIdError

from shared.domain.errors import TransientFailure
from shared.messaging.commit import commit_as, member_of
from shared.messaging.offsets import MOST_DOUBLINGS, Offsets, nothing_to_confirm

SOON_S = 0.01


class Group:
    """Takes commits, and confirms, as long as nothing fails; what is asked for waits until it is let go."""

    def __init__(self, after_s=SOON_S):
        self.committed, self.trace = {}, []
        self.unconfirmed = self.refused = None
        self.confirming = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.offsets = Offsets("group", self.confirm, self.send, after_s)

    async def confirm(self):
        self.trace.append("confirm")
        self.confirming.set()
        await self.let_go.wait()
        if self.unconfirmed:
            raise self.unconfirmed

    async def send(self, progress):
        self.trace.append("commit")
        if self.refused:
            raise self.refused
        self.committed |= progress


@pytest.fixture
async def group():
    group = Group()
    running = asyncio.create_task(group.offsets.run())
    yield group
    running.cancel()


async def until(fact):
    async with asyncio.timeout(20):
        while not fact():
            await asyncio.sleep(0.001)


async def test_what_is_settled_within_a_moment_is_committed_once_after_it_was_confirmed():
    group = Group(after_s=1.0)  # the moment is longer than any that a busy machine takes over these few steps
    running = asyncio.create_task(group.offsets.run())
    for offset in range(1, 20):
        group.offsets.settle({"p": offset})
        await asyncio.sleep(0)
    await until(lambda: group.committed == {"p": 19})
    running.cancel()
    assert group.trace == ["confirm", "commit"]


async def test_nothing_is_committed_while_it_cannot_be_confirmed_and_all_of_it_once_it_can(group):
    group.unconfirmed = TransientFailure("mongod is away")
    group.offsets.settle({"p": 5})
    await until(lambda: group.trace.count("confirm") > 2)
    group.offsets.settle({"q": 7})
    assert "commit" not in group.trace
    group.unconfirmed = None
    await until(lambda: group.committed == {"p": 5, "q": 7})


async def test_while_commits_fail_they_are_tried_ever_less_often_until_one_is_through(group, monkeypatch):
    pauses, sleep = [], asyncio.sleep

    async def note(delay_s):
        pauses.append(delay_s)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    group.refused = KafkaError()
    group.offsets.settle({"p": 5})
    await until(lambda: len([pause for pause in pauses if pause >= SOON_S]) > 6)
    group.refused = None
    await until(lambda: group.committed == {"p": 5})
    group.offsets.settle({"p": 6})
    await until(lambda: group.committed == {"p": 6})
    longest = SOON_S * 2**MOST_DOUBLINGS
    waited = [pause for pause in pauses if pause >= SOON_S]
    assert waited[:5] == [SOON_S * 2**doublings for doublings in range(5)]
    assert set(waited[5:-1]) == {longest}
    assert waited[-1] == SOON_S


async def test_a_fault_in_the_confirmation_ends_nothing(group):
    group.unconfirmed = ZeroDivisionError("a bug of ours")
    group.offsets.settle({"p": 5})
    await until(lambda: group.trace.count("confirm") > 1)
    group.unconfirmed = None
    await until(lambda: group.committed == {"p": 5})


async def test_what_is_settled_during_a_confirmation_waits_for_the_next(group):
    group.let_go.clear()
    group.offsets.settle({"p": 5})
    await until(group.confirming.is_set)
    group.offsets.settle({"p": 9, "q": 2})
    group.let_go.set()
    await until(lambda: group.committed == {"p": 9, "q": 2})
    assert group.trace == ["confirm", "commit"] * 2


async def test_what_was_settled_before_a_rebalance_is_not_committed_after_it_and_what_comes_after_is(group):
    group.let_go.clear()
    group.offsets.settle({"p": 5})
    await until(group.confirming.is_set)
    group.offsets.forget()
    group.offsets.settle({"p": 5, "q": 1})  # read and handled again
    group.let_go.set()
    await until(lambda: group.committed == {"p": 5, "q": 1})
    assert group.trace == ["confirm", "confirm", "commit"]


@pytest.mark.parametrize("error", [CommitFailedError(), UnknownMemberIdError(), RebalanceInProgressError()])
async def test_what_a_rebalance_took_from_us_is_not_tried_again(group, error):
    group.refused = error
    group.offsets.settle({"p": 5})
    await until(lambda: "commit" in group.trace)
    group.refused = None
    await group.offsets.commit()
    assert group.committed == {}


@pytest.mark.parametrize("error", [KafkaError(), TimeoutError()])
async def test_what_kafka_does_not_take_now_is_committed_later(group, error):
    group.refused = error
    group.offsets.settle({"p": 5})
    await until(lambda: group.trace.count("commit") > 1)
    group.refused = None
    await until(lambda: group.committed == {"p": 5})


async def test_a_commit_cut_short_is_made_good(group):
    group.let_go.clear()
    group.offsets.settle({"p": 5})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(group.offsets.commit(), SOON_S)
    group.let_go.set()
    await group.offsets.commit()
    assert group.committed == {"p": 5}


async def test_without_a_confirmation_offsets_are_committed_as_they_are():
    group = Group()
    offsets = Offsets("group", nothing_to_confirm, group.send, SOON_S)
    offsets.settle({"p": 5})
    await offsets.commit()
    assert group.committed == {"p": 5}


def a_client(member_id="m-1", generation=4, partitions=("p",)):
    sent = []

    async def take(_assignment, offsets):
        sent.append({partition: offset.offset for partition, offset in offsets.items()})

    coordinator = SimpleNamespace(member_id=member_id, generation=generation, _do_commit_offsets=take)
    return SimpleNamespace(_coordinator=coordinator, assignment=lambda: frozenset(partitions), sent=sent)


async def test_a_member_commits_what_it_was_given():
    client = a_client()
    await commit_as(member_of(client), client, {"p": 3})
    assert client.sent == [{"p": 3}]


NO_MORE = [(("", -1), ("p",)), (("m-1", 5), ("p",)), (("m-1", 4), ("q",)), (("m-1", 4), ())]


@pytest.mark.parametrize(("now", "partitions"), NO_MORE)
async def test_whoever_is_not_the_member_any_more_that_read_the_messages_commits_nothing(now, partitions):
    client = a_client(*now, partitions)
    with pytest.raises(CommitFailedError):
        await commit_as(("m-1", 4), client, {"p": 3})
    assert client.sent == []
