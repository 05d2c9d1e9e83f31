"""Fanning out in two steps: what was drafted is attempted at once and made to last later, and only then it counts as done."""

import asyncio
from datetime import timedelta

import pytest

from services.webhooks import drafts
from services.webhooks.fan_out import MOST_TOGETHER
from services.webhooks.reconcile import Reconciler
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.tenant import Mode
from shared.events.recording import RecordingDeleted, recording_event
from tests.fakes.drafted import Drafting
from tests.fakes.webhook_facts import a_completion, a_recording, a_transcription, an_endpoint, an_upload


@pytest.fixture
def drafting():
    return Drafting()


async def drafted(drafting, *events):
    return await asyncio.gather(*(drafting.fan_out.draft(event) for event in events), return_exceptions=True)


def ids(events):
    return {event.event_id for event in events}


def told(rows):
    return sorted(delivery.event_id for delivery in rows.values())


async def test_events_that_come_together_cost_one_look_at_each_tenants_endpoints_and_one_write():
    drafting = Drafting(an_endpoint("https://a.example"), an_endpoint("https://b.example", mode=Mode.TEST))
    events = [an_upload(mode=mode) for mode in (Mode.LIVE, Mode.TEST) for _ in range(MOST_TOGETHER // 2)]
    assert set(await drafted(drafting, *events)) == {None}
    assert len(drafting.endpoints.asked) == 2
    assert [len(write) for write in drafting.deliveries.drafts] == [MOST_TOGETHER]
    assert drafting.deliveries.lasting == []
    await drafting.fan_out.confirm()
    assert [len(write) for write in drafting.deliveries.lasting] == [MOST_TOGETHER]
    assert set(drafting.attempted) == ids(events)


async def test_one_bad_event_does_not_fail_those_that_came_with_it(drafting):
    good, bad = [an_upload() for _ in range(5)], a_completion(a_transcription())
    drafting.bad.add(bad.transcription_id)
    outcomes = await drafted(drafting, *good[:2], bad, *good[2:])
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 2 + [ValueError] + [type(None)] * 3
    await drafting.fan_out.confirm()
    await drafting.marks.flush()
    assert drafting.events.marked == set(drafting.attempted) == ids(good)


async def test_a_store_that_is_away_fails_all_that_came_together_once(drafting):
    drafting.deliveries.down = True
    outcomes = await drafted(drafting, *[an_upload() for _ in range(5)])
    assert {type(outcome) for outcome in outcomes} == {TransientFailure}
    assert len(drafting.endpoints.asked) == 1
    assert drafting.slots.free == 1_000


async def test_an_endpoint_made_a_moment_ago_hears(drafting):
    await drafted(drafting, an_upload())
    newest = an_endpoint("https://new.example")
    drafting.endpoints.rows.append(newest)
    await drafted(drafting, an_upload())
    assert [row.endpoint_id for row in drafting.deliveries.rows.values()].count(newest.id) == 1


async def test_an_endpoint_made_by_a_clock_that_was_put_back_since_hears(drafting):
    early = an_endpoint("https://new.example", created_at=now() + timedelta(hours=1))
    drafting.endpoints.rows.append(early)
    await drafted(drafting, an_upload())
    assert [row.endpoint_id for row in drafting.deliveries.rows.values()].count(early.id) == 1


async def test_an_event_twice_in_one_batch_is_attempted_once(drafting):
    upload = an_upload()
    await drafting.fan_out.many([upload, upload])
    await drafted(drafting, upload, upload)
    await asyncio.sleep(0)
    assert drafting.attempted == [upload.event_id]
    assert drafting.slots.free == 1_000


async def test_what_a_crash_undid_between_draft_and_confirm_is_made_again_though_later_events_were_handled(drafting):
    first, second, third = an_upload(), an_upload(), an_upload()
    for event in (first, second):
        await drafted(drafting, event)
    drafting.deliveries.crash()
    await drafted(drafting, third)
    assert told(drafting.deliveries.rows) == [third.event_id]
    await drafting.fan_out.confirm()
    assert told(drafting.deliveries.for_good) == sorted(ids([first, second, third]))
    assert len(drafting.attempted) == 3


async def test_a_draft_that_a_crash_undid_comes_back_as_the_claim_that_runs_so_that_its_result_is_kept(drafting):
    upload = an_upload()
    await drafted(drafting, upload)
    (claimed,) = drafting.deliveries.rows.values()
    drafting.deliveries.crash()
    drafting.dispatcher._draining = True  # the event comes again when there is no slot for it
    await drafting.fan_out.draft(upload)
    drafting.deliveries.crash()
    await drafting.fan_out.confirm()
    assert await drafting.deliveries.record(claimed, claimed.handed_back())


async def test_what_became_of_a_draft_meanwhile_stays(drafting):
    await drafted(drafting, an_upload())
    (claimed,) = drafting.deliveries.rows.values()
    after = claimed.handed_back()
    assert await drafting.deliveries.record(claimed, after)
    await drafting.fan_out.confirm()
    assert list(drafting.deliveries.for_good.values()) == [after]


@pytest.mark.parametrize("confirmed", [False, True])
async def test_no_event_is_marked_before_its_deliveries_are_there_for_good(drafting, confirmed):
    upload = an_upload()
    await drafted(drafting, upload)
    if confirmed:
        await drafting.fan_out.confirm()
    await drafting.marks.flush()
    assert drafting.events.marked == (ids([upload]) if confirmed else set())


async def test_a_confirmation_that_fails_for_a_while_loses_nothing_and_comes_right(drafting):
    first, second = an_upload(), an_upload()
    await drafted(drafting, first)
    drafting.deliveries.unsure = True
    for _ in range(3):
        with pytest.raises(TransientFailure):
            await drafting.fan_out.confirm()
    await drafted(drafting, second)
    await drafting.marks.flush()
    assert drafting.events.marked == set()
    drafting.deliveries.unsure = False
    await drafting.fan_out.confirm()
    await drafting.marks.flush()
    assert drafting.events.marked == ids([first, second])
    assert told(drafting.deliveries.for_good) == sorted(ids([first, second]))


async def test_a_confirmation_cut_short_leaves_everything_to_the_next(drafting):
    upload = an_upload()
    await drafted(drafting, upload)
    drafting.deliveries.let_go.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(drafting.fan_out.confirm(), 0.01)
    drafting.deliveries.let_go.set()
    await drafting.fan_out.confirm()
    assert told(drafting.deliveries.for_good) == [upload.event_id]


async def test_whoever_asks_for_a_confirmation_waits_for_one_that_is_under_way(drafting):
    upload = an_upload()
    await drafted(drafting, upload)
    drafting.deliveries.let_go.clear()
    asking = [asyncio.create_task(drafting.fan_out.confirm()) for _ in range(2)]
    await asyncio.wait(asking, timeout=0.01)
    assert not any(task.done() for task in asking)
    drafting.deliveries.let_go.set()
    await asyncio.gather(*asking)
    assert told(drafting.deliveries.for_good) == [upload.event_id]


@pytest.mark.parametrize(("most", "bound"), [(3, "MOST_DELIVERIES"), (1_000, "MOST_BYTES")])
async def test_when_much_waits_it_is_confirmed_before_more_is_drafted(drafting, monkeypatch, most, bound):
    monkeypatch.setattr(drafts, bound, most)
    for _ in range(12):
        await drafting.fan_out.draft(an_upload())
    assert drafting.deliveries.lasting
    assert all(len(write) <= 3 for write in drafting.deliveries.lasting)


async def test_when_much_waits_and_cannot_be_confirmed_no_more_is_taken(drafting, monkeypatch):
    monkeypatch.setattr(drafts, "MOST_DELIVERIES", 3)
    drafting.deliveries.unsure = True
    await drafted(drafting, *[an_upload() for _ in range(3)])
    late = an_upload()
    for _ in range(5):
        assert [type(outcome) for outcome in await drafted(drafting, late)] == [TransientFailure]
    assert len(drafting.deliveries.rows) == 3
    drafting.deliveries.unsure = False
    await drafting.fan_out.draft(late)
    assert late.event_id in told(drafting.deliveries.rows)


async def test_the_text_of_a_deleted_recording_does_not_come_back_with_what_a_crash_undid(drafting):
    upload = an_upload()
    gone = recording_event(RecordingDeleted, a_recording(id=upload.recording_id))
    await drafted(drafting, upload)
    drafting.deliveries.crash()
    await drafted(drafting, gone)
    await drafting.fan_out.confirm()
    bodies = {delivery.event_type: delivery.body for delivery in drafting.deliveries.for_good.values()}
    assert bodies["recording.uploaded"] == b""
    assert b"deleted" in bodies["recording.deleted"]


async def test_an_event_that_nobody_hears_is_marked_all_the_same():
    drafting = Drafting(an_endpoint("https://a.example", ["transcription.failed"]))
    drafting.events.fanned_out = heard = Heard()
    await drafted(drafting, upload := an_upload())
    await drafting.fan_out.confirm()
    await drafting.marks.flush()
    assert heard.ids == {upload.event_id}


class Heard:
    def __init__(self):
        self.ids = set()

    async def __call__(self, event_ids):
        self.ids |= set(event_ids)


async def test_the_reconciler_confirms_before_it_looks_for_what_was_missed(drafting):
    upload = an_upload()
    await drafted(drafting, upload)
    await Reconciler(drafting.events, drafting.fan_out, drafting.marks).sweep()
    assert drafting.events.marked == ids([upload])


async def test_once_drained_a_draft_that_was_under_way_is_left_to_the_end_of_its_lease(drafting):
    claimed = drafting.deliveries.draft_new

    async def slow(deliveries):
        await drafting.dispatcher.drain(0)
        return await claimed(deliveries)

    drafting.deliveries.draft_new = slow
    await drafted(drafting, an_upload())
    await asyncio.sleep(0)
    assert drafting.attempted == []
    assert drafting.slots.free == 1_000
    assert [delivery.worker for delivery in drafting.deliveries.rows.values()] == ["one"]


async def test_an_erasure_that_cannot_be_keeps_back_no_other_event_and_is_nobody_elses_fault(drafting):
    async def cannot(_tenant, _recording_id):
        raise ValueError("a fault nobody foresaw")

    erasing, drafting.deliveries.erase_texts = drafting.deliveries.erase_texts, cannot
    upload, deletion = an_upload(), recording_event(RecordingDeleted, a_recording())
    await drafted(drafting, deletion, upload)
    for _ in range(2):
        with pytest.raises(TransientFailure, match="nobody foresaw"):
            await drafting.fan_out.confirm()
    await drafting.marks.flush()
    assert drafting.events.marked == ids([upload])
    drafting.deliveries.erase_texts = erasing
    await drafting.fan_out.confirm()
    await drafting.marks.flush()
    assert drafting.events.marked == ids([upload, deletion])
    assert drafting.deliveries.erased == [deletion.recording_id]


async def test_however_many_are_fanned_out_in_one_call_few_are_held_at_a_time(drafting):
    events = [an_upload() for _ in range(3 * MOST_TOGETHER)]
    await drafting.fan_out.many(events)
    assert [len(write) for write in drafting.deliveries.drafts] == [MOST_TOGETHER] * 3
    assert told(drafting.deliveries.for_good) == sorted(ids(events))
