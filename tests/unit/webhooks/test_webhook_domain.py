"""Deliveries move by their table; slots are counted."""

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.slots import Slots
from shared.domain.clock import now
from shared.domain.delivery import ATTEMPTS_KEPT, FOLLOWS, Attempt, Delivery, DeliveryStatus, delivery_id
from shared.domain.transition import TransitionRefused
from tests.fakes.webhook_facts import TENANT, an_endpoint


def a_delivery(**fields):
    at = now()
    defaults = {
        "id": delivery_id("evt_1", "we_1", at),
        "event_id": "evt_1",
        "event_type": "recording.uploaded",
        "endpoint_id": "we_1",
        "project_id": TENANT.project_id,
        "mode": TENANT.mode,
        "recording_id": "rec_1",
        "occurred_at": at,
        "body": b"{}",
        "next_attempt_at": at,
        "created_at": at,
        "updated_at": at,
    }
    return Delivery(**(defaults | fields))


@pytest.mark.parametrize(("present", "wanted"), list(product(DeliveryStatus, DeliveryStatus)))
def test_a_delivery_moves_only_by_its_table(present, wanted):
    delivery = a_delivery(status=present)
    if wanted is present or wanted in FOLLOWS[present]:
        assert delivery.changed(status=wanted).status is wanted
    else:
        with pytest.raises(TransitionRefused):
            delivery.changed(status=wanted)


def test_an_attempt_is_counted_and_ends_the_claim():
    attempt = Attempt(number=1, at=now(), duration_ms=3, status_code=500)
    later = now() + timedelta(minutes=1)
    after = a_delivery(worker="w", token=3).attempted(attempt, DeliveryStatus.PENDING, later)
    assert (after.worker, after.token, after.tries, after.attempts_made) == (None, 3, 1, 1)
    assert (after.next_attempt_at, after.attempts) == (later, (attempt,))


def test_only_the_newest_attempts_are_kept():
    delivery = a_delivery()
    for number in range(1, ATTEMPTS_KEPT + 11):
        delivery = delivery.attempted(Attempt(number=number, at=now(), duration_ms=1), DeliveryStatus.PENDING, now())
    assert [attempt.number for attempt in delivery.attempts] == list(range(11, ATTEMPTS_KEPT + 11))
    assert delivery.attempts_made == ATTEMPTS_KEPT + 10


def test_the_id_is_derived_and_sorts_by_the_time_of_the_event():
    at = now()
    assert delivery_id("evt_1", "we_1", at) == delivery_id("evt_1", "we_1", at)
    assert delivery_id("evt_1", "we_1", at) != delivery_id("evt_1", "we_2", at)
    assert delivery_id("evt_9", "we_9", at) < delivery_id("evt_1", "we_1", at + timedelta(milliseconds=1))


async def test_an_endpoint_takes_no_more_than_its_slots_and_all_no_more_than_there_are():
    slots = Slots(5, 3)
    one, two = an_endpoint("http://a"), an_endpoint("http://b")
    assert [slots.take(one) for _ in range(4)] == [True, True, True, False]
    assert slots.full() == [one.id]
    assert [slots.take(two) for _ in range(3)] == [True, True, False]
    assert (slots.free, slots.freed.is_set()) == (0, False)
    slots.give_back(one.id)
    assert slots.freed.is_set()
    assert slots.take(one)


async def test_a_failing_endpoint_gets_a_fourth_but_never_none():
    failing = an_endpoint("http://a", failing_since=now())
    assert Slots(128, 8).free_at(failing) == 2
    assert Slots(128, 2).free_at(failing) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_slots_add_up_in_any_order(moves):
    slots = Slots(6, 2)
    endpoints = [an_endpoint("http://a") for _ in range(4)]
    held = [0] * 4
    for number, taking in moves:
        if taking:
            held[number] += slots.take(endpoints[number])
        elif held[number]:
            slots.give_back(endpoints[number].id)
            held[number] -= 1
    assert slots.free == 6 - sum(held)
    assert max(held) <= 2
    assert set(slots.full()) == {endpoint.id for endpoint, count in zip(endpoints, held, strict=True) if count == 2}
