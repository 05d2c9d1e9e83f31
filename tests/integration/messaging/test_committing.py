"""Committing on a real broker: when offsets move, what keeps them from it, and who hears an event again."""

import asyncio
from collections import Counter

import msgspec
import pytest

from shared.domain.errors import TransientFailure
from shared.events.recording import UploadClaimed
from shared.messaging.consumer import consume
from tests.integration.messaging.conftest import DEADLINE_S, POLICY, Inbox


class Store:
    """Where handlers' writes are confirmed: not while it is `away`, and late when it does not answer."""

    def __init__(self):
        self.inbox, self.confirmed = Inbox(), []
        self.away, self.refuses = False, lambda _event: False
        self.answers, self.refused = asyncio.Event(), asyncio.Event()
        self.answers.set()

    async def __call__(self, event):
        if self.refuses(event):
            self.refused.set()
            raise TransientFailure("the object store is away")
        await self.inbox(event)

    async def confirm(self):
        handled = self.inbox.ids
        await self.answers.wait()
        if self.away:
            raise TransientFailure("mongod is away")
        self.confirmed = list(handled)


@pytest.fixture
def start(kafka):
    async def start(group, store, **changes):
        policy = msgspec.structs.replace(POLICY, **{"commit_after_s": 0.05} | changes)
        consumer = consume(kafka.broker, group, {UploadClaimed: store}, policy, store.confirm)
        kafka._consumers.append(consumer)
        await consumer.start()
        async with asyncio.timeout(DEADLINE_S):
            await consumer.joined()
        return consumer

    return start


async def committed(consumer):
    """Return how many messages the group has left behind it."""
    client = consumer._membership._subscriber.consumer
    return sum([await client.committed(partition) or 0 for partition in client.assignment()])


async def until(fact):
    async with asyncio.timeout(DEADLINE_S):
        while not await fact():
            await asyncio.sleep(0.01)


def given(events):
    return [event.event_id for event in events]


async def test_later_events_are_handled_while_earlier_ones_are_not_confirmed_and_nothing_is_committed(kafka, start, event):
    store = Store()
    store.answers.clear()
    consumer = await start("ahead", store)
    for number in range(5):
        await kafka.publisher.publish([event(number)])
        await store.inbox.has(f"evt_rec_1_{number}")
    assert await committed(consumer) == 0
    store.answers.set()

    async def all_committed():
        return await committed(consumer) == 5

    await until(all_committed)
    assert len(store.confirmed) == 5


async def test_a_confirmation_that_fails_for_a_while_holds_commits_back_and_nothing_else(kafka, start, event):
    store = Store()
    store.away = True
    consumer = await start("fails", store)
    events = [event(1, f"rec_{number}") for number in range(10)]
    await kafka.publisher.publish(events)
    await store.inbox.has(*given(events))
    assert await committed(consumer) == 0
    store.away = False

    async def all_committed():
        return await committed(consumer) == 10

    await until(all_committed)
    assert Counter(store.inbox.ids) == Counter(given(events))


async def test_a_stop_confirms_and_commits_before_the_group_is_left(kafka, start, event):
    store = Store()
    stopping = await start("stops", store, commit_after_s=60)
    await kafka.publisher.publish([event(1)])
    await store.inbox.has("evt_rec_1_1")
    await stopping.stop(grace_s=5)
    assert store.confirmed == ["evt_rec_1_1"]
    await start("stops", store)
    await kafka.publisher.publish([event(2)])
    await store.inbox.has("evt_rec_1_2")
    assert store.inbox.ids == ["evt_rec_1_1", "evt_rec_1_2"]


async def test_what_was_handled_but_not_confirmed_when_the_process_ended_comes_again(kafka, start, event):
    store, heir = Store(), Store()
    dying = await start("dies", store)
    store.answers.clear()
    await kafka.publisher.publish([event(1), event(2)])
    await store.inbox.has("evt_rec_1_1", "evt_rec_1_2")
    await dying.stop(grace_s=0)
    await start("dies", heir)
    await heir.inbox.has("evt_rec_1_1", "evt_rec_1_2")


async def test_before_partitions_are_given_up_what_was_handled_is_confirmed_and_committed(kafka, start, event):
    store = Store()
    await start("moves", store, commit_after_s=60)
    first, second = ([event(version, f"rec_{number}") for number in range(20)] for version in (1, 2))
    await kafka.publisher.publish(first)
    await store.inbox.has(*given(first))
    await start("moves", store, commit_after_s=60)
    await kafka.publisher.publish(second)
    await store.inbox.has(*given(second))
    assert set(store.confirmed) >= set(given(first))
    assert Counter(store.inbox.ids) == Counter(given(first) + given(second))


async def test_partitions_given_up_with_unconfirmed_events_deliver_those_again(kafka, start, event):
    unsure, other = Store(), Store()
    unsure.answers.clear()
    await start("unsure", unsure)
    events = [event(1, f"rec_{number}") for number in range(20)]
    await kafka.publisher.publish(events)
    await unsure.inbox.has(*given(events))
    await start("unsure", other)

    async def all_again():
        return Counter(unsure.inbox.ids + other.inbox.ids) >= Counter(given(events) * 2)

    await until(all_again)
    assert other.inbox.ids


async def test_an_event_handed_back_is_not_overtaken_while_those_before_it_are_not_confirmed(kafka, start, event):
    store, healed = Store(), asyncio.Event()
    store.answers.clear()
    store.refuses = lambda claimed: claimed.version == 2 and not healed.is_set()
    consumer = await start("order", store)
    await kafka.publisher.publish([event(number) for number in range(1, 5)])
    await store.inbox.has("evt_rec_1_1")
    await asyncio.wait_for(store.refused.wait(), DEADLINE_S)
    healed.set()
    await store.inbox.has("evt_rec_1_4")
    assert store.inbox.ids == [f"evt_rec_1_{number}" for number in range(1, 5)]
    assert await committed(consumer) == 0


async def test_a_member_that_the_broker_has_forgotten_commits_nothing(kafka, start, event):
    store = Store()
    consumer = await start("forgotten", store, commit_after_s=60)
    await kafka.publisher.publish([event(1)])
    await store.inbox.has("evt_rec_1_1")
    consumer._membership._client._coordinator.reset_generation()
    await consumer._membership._offsets.commit()
    await store.inbox.until(lambda: store.inbox.ids == ["evt_rec_1_1"] * 2)


async def test_between_two_assignments_nothing_is_committed_and_no_silence_is_suspicious(kafka, start, event):
    store = Store()
    consumer = await start("between", store, commit_after_s=30.0)
    await kafka.publisher.publish([event(1)])
    await store.inbox.has("evt_rec_1_1")
    membership = consumer._membership
    assigned = membership._client.assignment()
    await membership.on_partitions_revoked(assigned)
    assert await committed(consumer) == 1
    await kafka.publisher.publish([event(2)])
    await store.inbox.has("evt_rec_1_2")  # of a batch that outlasted the wait for it
    await until(lambda: settled(membership))
    for _ in range(5):
        await membership._look()
    await membership._offsets.commit()
    assert await committed(consumer) == 1
    await membership.on_partitions_assigned(assigned)
    await kafka.publisher.publish([event(3)])
    await store.inbox.has("evt_rec_1_3")
    await until(lambda: settled(membership))
    await membership._offsets.commit()
    assert await committed(consumer) == 3


async def settled(membership):
    return membership._offsets._settled and membership._idle.is_set()
