"""Clearing outboxes: together, for good before gone, patient through an outage, never more than it can hold."""

import asyncio
from collections import Counter

import pytest

from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.events.recording import RecordingCreated, recording_event
from shared.messaging.clearing import Clearing, Placed

NEVER_S = 3_600


class Store:
    """An outbox and a keeper in one, that write down the order of what they are told, and fail on demand."""

    def __init__(self):
        self.calls, self.broken = [], set()

    async def keep(self, events):
        self._told("keep", [event.event_id for event in events])

    async def remove_published(self, published):
        self._told("remove", [event_id for of_one in published.values() for event_id in of_one])

    def of(self, call):
        return [set(event_ids) for name, event_ids in self.calls if name == call]

    def _told(self, call, event_ids):
        if call in self.broken:
            raise TransientFailure(f"{call} is broken")
        self.calls.append((call, event_ids))


def placed(count=1):
    about = {"project_id": "p", "mode": Mode.LIVE, "created_at": now(), "updated_at": now()}
    made = [Recording(id=new_id("rec"), status=RecordingStatus.PENDING, **about) for _ in range(count)]
    return [Placed("recordings", one.id, recording_event(RecordingCreated, one)) for one in made]


def ids(*batches):
    return {one.event.event_id for batch in batches for one in batch}


@pytest.fixture
def store():
    return Store()


async def test_what_was_published_by_and_by_is_cleared_in_one_write_each(store):
    clearing = Clearing({"recordings": store}, store, NEVER_S)
    shown, more, kept = placed(), placed(), placed()
    await clearing.add(shown, kept=False)
    await clearing.add(more, kept=False)
    await clearing.add(kept, kept=True)
    await clearing.flush()
    assert store.of("keep") == [ids(shown, more)]
    assert store.of("remove") == [ids(shown, more, kept)]
    assert [name for name, _ in store.calls] == ["keep", "remove"]


async def test_nothing_is_asked_of_the_stores_while_nothing_waits(store):
    clearing = Clearing({"recordings": store}, store, NEVER_S)
    assert await clearing.flush()
    assert store.calls == []


@pytest.mark.parametrize("broken", ["keep", "remove"])
async def test_what_an_outage_keeps_from_being_cleared_is_cleared_after_it(store, broken):
    clearing = Clearing({"recordings": store}, store, 0.01)
    running = asyncio.create_task(clearing.run())
    first, second = placed(), placed()
    store.broken.add(broken)
    await clearing.add(first, kept=False)
    assert not await clearing.flush()
    assert not store.of("remove")
    await clearing.add(second, kept=True)
    store.broken.clear()
    async with asyncio.timeout(5):
        while Counter(event_id for batch in store.of("remove") for event_id in batch) != dict.fromkeys(ids(first, second), 1):
            await asyncio.sleep(0.005)
    running.cancel()
    assert store.of("keep") == [ids(first)]


async def test_an_outage_is_not_met_with_a_storm_of_attempts(store):
    attempts = 0

    class Away:
        async def keep(self, _):
            nonlocal attempts
            attempts += 1
            raise TransientFailure("away")

    clearing = Clearing({"recordings": store}, Away(), NEVER_S)
    await clearing.add(placed(3_000), kept=False)
    running = asyncio.create_task(clearing.run())
    for _ in range(100):
        await asyncio.sleep(0)
    running.cancel()
    assert attempts == 1


async def test_whoever_publishes_more_than_can_be_held_waits_for_room(store):
    clearing = Clearing({"recordings": store}, store, NEVER_S)
    await clearing.add(placed(3_000), kept=True)
    more = asyncio.create_task(clearing.add(placed(), kept=True))
    await asyncio.sleep(0)
    assert not more.done()
    running = asyncio.create_task(clearing.run())  # which does not rest while there is no room
    async with asyncio.timeout(5):
        await more
    running.cancel()
    assert [len(batch) for batch in store.of("remove")] == [3_000]
