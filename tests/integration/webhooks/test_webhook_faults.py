"""Crashes, replicas, slow receivers and lost brokers: nothing is lost, and nothing is sent twice that need not be."""

import asyncio
import time
from collections import Counter
from datetime import timedelta

import pytest
from aiohttp import web

from shared.domain.clock import now
from shared.domain.delivery import AttemptError, DeliveryStatus
from shared.domain.webhook import EndpointSecret
from shared.settings import MongoSettings
from shared.storage.mongo import Mongo
from tests.fakes.webhook_facts import an_old_upload, an_upload
from tests.fakes.webhook_receiver import eventually


async def all_succeeded(stage, endpoint, count):
    rows = await stage.rows(endpoint)
    return len(rows) == count and all(row.status is DeliveryStatus.SUCCEEDED for row in rows)


async def crashed_before_sending(stage, upload):
    """Store the deliveries of `upload` as a process does that is killed before it can send them."""
    begin, stage.dispatcher.begin = stage.dispatcher.begin, lambda claimed, _endpoint: stage.dispatcher.forget(claimed)
    await stage.fan_out(upload)
    stage.dispatcher.begin = begin


async def test_a_crash_between_insert_and_send_is_made_good_when_the_lease_ends(make_stage, receiver):
    dead, alive = await make_stage(worker="dead", lease_s=0.5), await make_stage(worker="alive")
    endpoint = await dead.endpoint(receiver.url())
    await crashed_before_sending(dead, an_upload())
    assert (await dead.only(endpoint)).worker == "dead"
    await alive.due.begin_due()
    assert receiver.heard == []  # the lease still holds
    alive.run()
    await receiver.received(1)
    await eventually(lambda: all_succeeded(alive, endpoint, 1))
    assert len(receiver.heard) == 1


async def test_a_crash_between_send_and_record_repeats_the_same_bytes(make_stage, receiver):
    dead, alive = await make_stage(worker="dead", lease_s=0.3), await make_stage(worker="alive")
    endpoint = await dead.endpoint(receiver.url())

    async def never(_claimed, _after):
        await asyncio.Event().wait()

    dead.dispatcher._attempt._record = never
    await dead.fan_out(an_upload())
    await receiver.received(1)
    alive.run()
    first, second = await receiver.received(2)
    assert (first.body, first.header("webhook-id")) == (second.body, second.header("webhook-id"))
    await eventually(lambda: all_succeeded(alive, endpoint, 1))


async def test_a_result_waits_for_a_mongodb_that_is_away_and_nothing_is_sent_twice(make_stage, servers, receiver):
    server = servers.mongo()
    mongo = Mongo(MongoSettings(mongo_url=server.url))
    stage = await make_stage(on=mongo, lease_s=60, timeout_s=20)
    stopped = asyncio.Event()
    endpoint = await stage.endpoint(receiver.url())

    async def stop_mongodb(_request):
        await asyncio.to_thread(server.stop)
        stopped.set()
        return web.Response()

    receiver.default = stop_mongodb
    await stage.fan_out(an_upload())
    await stopped.wait()
    await asyncio.to_thread(server.start)
    stage.run()
    await eventually(lambda: all_succeeded(stage, endpoint, 1))
    assert len(receiver.heard) == 1
    mongo.close()


async def test_a_worker_that_lost_its_lease_cannot_write_its_result(make_stage, make_receiver):
    released = asyncio.Event()

    async def slow(_request):
        await released.wait()
        return web.Response(status=500)

    receiver = await make_receiver(slow)
    late, quick = await make_stage(worker="late", lease_s=0.2, timeout_s=5), await make_stage(worker="quick")
    endpoint = await late.endpoint(receiver.url())
    await late.fan_out(an_upload())
    await receiver.received(1)
    quick.run()
    await eventually(lambda: all_succeeded(quick, endpoint, 1))
    released.set()
    await late.dispatcher.drain(2)
    row = await quick.only(endpoint)
    assert (row.status, [attempt.status_code for attempt in row.attempts]) == (DeliveryStatus.SUCCEEDED, [200])


async def test_two_replicas_make_each_attempt_once(make_stage, receiver):
    one, two = await make_stage(worker="one"), await make_stage(worker="two")
    endpoint = await one.endpoint(receiver.url())
    uploads = [an_upload() for _ in range(60)]
    one.dispatcher._draining = True  # every row goes to the queue, for both to find
    await one.fan_out.many(uploads)
    one.dispatcher._draining = False
    await asyncio.gather(*(stage.due.begin_due() for stage in (one, two) for _ in range(3)))
    one.run()
    two.run()
    await eventually(lambda: all_succeeded(one, endpoint, 60))
    assert Counter(heard.header("webhook-id") for heard in receiver.heard) == Counter(upload.event_id for upload in uploads)
    assert all(row.attempts_made == 1 for row in await one.rows(endpoint))


async def test_the_same_events_at_two_replicas_are_posted_once(make_stage, receiver):
    one, two = await make_stage(worker="one"), await make_stage(worker="two")
    endpoint = await one.endpoint(receiver.url())
    uploads = [an_upload() for _ in range(20)]
    one.run()
    await asyncio.gather(*(stage.fan_out(upload) for upload in uploads for stage in (one, two)))
    await eventually(lambda: all_succeeded(one, endpoint, 20))
    assert len(receiver.heard) == 20


async def test_a_slow_receiver_holds_its_own_slots_only(make_stage, make_receiver):
    released = asyncio.Event()

    async def hang(_request):
        await released.wait()
        return web.Response()

    slow, fast = await make_receiver(default=hang), await make_receiver()
    stage = await make_stage(slots=8, per_endpoint=3, timeout_s=60, lease_s=70)
    stage.run()
    stuck, quick = await stage.endpoint(slow.url()), await stage.endpoint(fast.url())
    began = time.monotonic()
    await asyncio.gather(*(stage.fan_out(an_upload()) for _ in range(40)))
    await fast.received(40)
    assert time.monotonic() - began < 15  # long before the slow one's time is over
    assert slow.most_running == 3
    await eventually(lambda: all_succeeded(stage, quick, 40))
    released.set()
    await eventually(lambda: all_succeeded(stage, stuck, 40))
    assert (len(slow.heard), slow.most_running) == (40, 3)


async def test_a_backlog_larger_than_the_slots_is_worked_off_without_waiting_for_the_next_look(make_stage, receiver):
    stage = await make_stage(slots=4, per_endpoint=2)
    stage.run(poll_s=30)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out.many([an_upload() for _ in range(30)])
    await eventually(lambda: all_succeeded(stage, endpoint, 30))


async def test_draining_waits_for_what_runs_and_hands_the_rest_back(make_stage, make_receiver):
    released, ended = asyncio.Event(), asyncio.Event()

    async def soon(_request):
        await asyncio.wait_for(released.wait(), 5)
        return web.Response()

    async def never(_request):
        await ended.wait()
        return web.Response()

    finishing, hanging = await make_receiver(soon), await make_receiver(never)
    stage = await make_stage(timeout_s=20, lease_s=30)
    ends, cut = await stage.endpoint(finishing.url()), await stage.endpoint(hanging.url())
    await stage.fan_out(an_upload())
    await finishing.received(1)
    await hanging.received(1)
    draining = asyncio.create_task(stage.dispatcher.drain(2))
    released.set()
    await draining
    ended.set()
    assert (await stage.only(ends)).status is DeliveryStatus.SUCCEEDED
    handed_back = await stage.only(cut)
    assert (handed_back.status, handed_back.worker, handed_back.tries) == (DeliveryStatus.PENDING, None, 0)
    assert handed_back.next_attempt_at <= now()


async def test_a_claim_under_way_when_the_queue_is_stopped_is_handed_back(make_stage, make_receiver):
    ended, claimed, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def never(_request):
        await ended.wait()
        return web.Response()

    receiver, stage = await make_receiver(default=never), await make_stage(timeout_s=20, lease_s=30)
    endpoint = await stage.endpoint(receiver.url())
    stage.dispatcher._draining = True  # it goes to the queue
    await stage.fan_out(an_upload())
    stage.dispatcher._draining = False
    claim = stage.deliveries.claim

    async def answered_late(*about):
        brought = await claim(*about)
        claimed.set()
        await answered.wait()
        return brought

    stage.deliveries.claim = answered_late
    queue = asyncio.create_task(stage.due.run(0.05))
    await claimed.wait()
    queue.cancel()
    answered.set()
    await asyncio.wait({queue})
    await stage.dispatcher.drain(0.1)
    ended.set()
    row = await stage.only(endpoint)
    assert (row.status, row.worker, row.tries) == (DeliveryStatus.PENDING, None, 0)


async def test_while_draining_new_deliveries_are_left_to_the_queue(stage, receiver):
    endpoint = await stage.endpoint(receiver.url())
    await stage.dispatcher.drain(0)
    await stage.fan_out(an_upload())
    row = await stage.only(endpoint)
    assert (row.worker, row.token, receiver.heard) == (None, 0, [])


async def test_events_that_the_broker_lost_are_found_and_fanned_out_once(make_stage, receiver):
    one, two = await make_stage(worker="one"), await make_stage(worker="two")
    endpoint = await one.endpoint(receiver.url(), created_at=now() - timedelta(days=1))
    lost, young = [an_old_upload(6) for _ in range(30)], an_upload()
    await one.events.keep([*lost, young])
    one.run()
    await asyncio.gather(one.reconciler.sweep(), two.reconciler.sweep())
    await eventually(lambda: all_succeeded(one, endpoint, 30))
    assert sorted(heard.header("webhook-id") for heard in receiver.heard) == sorted(event.event_id for event in lost)
    assert await one.events.not_fanned_out(now() - timedelta(seconds=5), 100) == []
    assert await one.reconciler.sweep() == 0


async def test_an_event_that_cannot_be_fanned_out_does_not_hold_up_the_others(stage, receiver):
    endpoint = await stage.endpoint(receiver.url(), created_at=now() - timedelta(days=1))
    good, bad = an_old_upload(7), an_old_upload(8)
    await stage.events.keep([bad, good])
    transcript_of = stage.fan_out._transcript_of

    async def refuse(event):
        if event.event_id == bad.event_id:
            raise ValueError("a fault of ours")
        return await transcript_of(event)

    stage.fan_out._transcript_of = refuse
    assert await stage.reconciler.sweep() == 2
    await eventually(lambda: all_succeeded(stage, endpoint, 1))
    assert await stage.reconciler.sweep() == 0


async def test_a_fault_of_ours_is_a_failed_attempt_and_not_an_endless_claim(make_stage, receiver):
    stage = await make_stage(schedule=(0,))
    endpoint = await stage.endpoint(receiver.url(), secrets=(EndpointSecret(value="whsec_A", created_at=now()),))  # no base64
    await stage.fan_out(an_upload())

    async def failed():
        row = await stage.only(endpoint)
        return row if row.status is DeliveryStatus.FAILED else None

    row = await eventually(failed)
    assert row.attempts[0].error is AttemptError.INTERNAL_ERROR
    assert (await stage.present(endpoint)).failing_since is None


async def test_every_query_is_answered_by_an_index(stage, mongo):
    collection = mongo.database["webhook_deliveries"]
    due = {"status": "pending", "next_attempt_at": {"$lte": now()}}
    queries = [
        ({"endpoint_id": {"$gt": "a", "$nin": ["b"]}, **due}, [("endpoint_id", 1), ("next_attempt_at", 1)]),
        ({"endpoint_id": "b", **due}, [("endpoint_id", 1), ("next_attempt_at", 1)]),
        (due, [("next_attempt_at", 1)]),
        ({"project_id": "p", "mode": "live", "endpoint_id": "b", "_id": {"$lt": "x"}}, [("_id", -1)]),
    ]
    for where, order in queries:
        plan = str((await collection.find(where).sort(order).explain())["queryPlanner"]["winningPlan"])
        assert "IXSCAN" in plan
        assert "COLLSCAN" not in plan
        assert "'SORT'" not in plan


@pytest.mark.parametrize("busy", [(), ("we_1",)])
async def test_the_queue_goes_round_the_endpoints(stage, busy):
    uploads = [an_upload() for _ in range(3)]
    stage.dispatcher._draining = True
    endpoints = [await stage.endpoint("http://127.0.0.1:1", id=f"we_{n}") for n in range(3)]
    await stage.fan_out.many(uploads)
    seen, after = [], ""
    while (due := await stage.deliveries.next_due(after, busy)) is not None:
        seen.append(due.endpoint_id)
        after = due.endpoint_id
    assert seen == [endpoint.id for endpoint in endpoints if endpoint.id not in busy]
    depth, age_s = await stage.deliveries.queue_state()
    assert (depth, 0 <= age_s < 5) == (9, True)
