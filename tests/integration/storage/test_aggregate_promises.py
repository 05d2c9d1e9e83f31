"""Versions, outboxes and claims of aggregates: one suite over MongoDB and over the fake that stands for it."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.errors import AlreadyExists
from shared.domain.ids import new_id
from shared.domain.job import Job, JobKind, JobStatus, Lane
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transition import TransitionRefused, VersionConflict
from shared.events.codec import decode, encode
from shared.events.recording import RecordingCreated, recording_event, recording_uploaded

TENANT = Tenant("proj_1", Mode.LIVE)


def a_recording(**fields):
    at = now()
    defaults = {
        "id": new_id("rec"),
        "project_id": TENANT.project_id,
        "mode": TENANT.mode,
        "status": RecordingStatus.STREAMING,
        "streaming": True,
        "metadata": {"a.b": {"": [1, 2**63 - 1, 1.5, None, "ü"]}, "_id": 1},
        "created_at": at,
        "updated_at": at,
    }
    return Recording(**(defaults | fields))


def a_job(available_at=None):
    at = now()
    return Job(id=new_id("job"), kind=JobKind.STITCH, queued_at=at, available_at=available_at or at)


async def added(recordings, **fields):
    recording = a_recording(**fields)
    return await recordings.add(recording, recording_event(RecordingCreated, recording))


async def test_what_is_added_is_read_as_it_was(recordings):
    recording = await added(recordings, job=a_job(), started_at=now())
    assert await recordings.get(TENANT, recording.id) == recording


async def test_what_was_read_can_be_told_of_and_stored_again(recordings):
    """Large integers of a client's own come from the driver as a kind of its own, which nothing else takes."""
    await added(recordings)
    (before,) = await recordings.page(TENANT, {}, 10)
    (same,) = await recordings.those_of(TENANT, await recordings.page_of_versions(TENANT, {}, 10))
    assert msgspec.json.decode(msgspec.json.encode([before, same]), type=list[Recording]) == [before, before]
    after = before.changed(status=RecordingStatus.UPLOADED)
    await recordings.save(before, after, recording_uploaded(after, 3))
    (waiting,) = await recordings.unpublished(now() + timedelta(seconds=1), 10)
    assert [decode(encode(event)) for event in waiting.events] == list(waiting.events)


@pytest.mark.parametrize("tenant", [Tenant("proj_2"), Tenant("proj_1", Mode.TEST)])
async def test_another_tenant_does_not_see_it(recordings, tenant):
    recording = await added(recordings)
    assert await recordings.get(tenant, recording.id) is None
    assert await recordings.page(tenant, {}, 10) == []


async def test_the_same_id_is_added_once(recordings):
    recording = await added(recordings)
    with pytest.raises(AlreadyExists):
        await recordings.add(recording)


async def test_many_added_together_are_all_there_and_a_repeat_fails_alone(recordings):
    first = await added(recordings)
    several = [a_recording() for _ in range(40)]
    outcomes = await asyncio.gather(*map(recordings.add, [*several, first]), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Recording] * 40 + [AlreadyExists]
    for recording in several:
        assert await recordings.get(TENANT, recording.id) == recording


async def test_a_change_and_its_event_are_stored_together(recordings):
    before = await added(recordings)
    after = before.changed(status=RecordingStatus.UPLOADED, duration_ms=5)
    await recordings.save(before, after, recording_uploaded(after, 3))
    assert await recordings.get(TENANT, before.id) == after
    (waiting,) = await recordings.unpublished(now() + timedelta(seconds=1), 10)
    assert [(event.type, event.version) for event in waiting.events] == [("recording.created", 1), ("recording.uploaded", 2)]
    assert waiting.events[1] == recording_uploaded(after, 3)


async def test_of_two_changes_from_the_same_version_one_wins_whole(recordings):
    before = await added(recordings)
    changes = [before.changed(status=RecordingStatus.UPLOADED, duration_ms=number) for number in range(8)]
    saves = [recordings.save(before, after, recording_uploaded(after, number)) for number, after in enumerate(changes)]
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, Recording)]
    assert [type(outcome) for outcome in outcomes].count(VersionConflict) == 7
    assert await recordings.get(TENANT, before.id) == winner
    (waiting,) = await recordings.unpublished(now() + timedelta(seconds=1), 10)
    assert [event.recording.duration_ms for event in waiting.events] == [None, winner.duration_ms]


async def test_a_move_that_the_table_does_not_know_is_refused(recordings):
    recording = await added(recordings)
    with pytest.raises(TransitionRefused):
        recording.changed(status=RecordingStatus.COMPLETED)


async def test_a_lease_renewed_meanwhile_survives_a_change_of_something_else(recordings):
    before = await added(recordings, job=a_job().claimed("one", now(), 10))
    until = now() + timedelta(minutes=5)
    assert await recordings.renew(before, before.job.token, until)
    await recordings.save(before, before.changed(name="renamed"))
    stored = await recordings.get(TENANT, before.id)
    assert (stored.name, stored.job.available_at) == ("renamed", until)


async def test_a_lease_is_renewed_by_its_newest_claim_only(recordings):
    first = await added(recordings, job=a_job().claimed("one", now(), 10))
    second = await recordings.save(first, first.changed(job=first.job.claimed("two", now(), 10)))
    assert not await recordings.renew(first, first.job.token, now())
    assert await recordings.renew(second, second.job.token, now())
    ended = await recordings.save(second, second.changed(job=second.job.ended(JobStatus.COMPLETED)))
    assert not await recordings.renew(ended, ended.job.token, now())


async def test_claims_go_round_the_projects(recordings):
    for project, count in (("proj_a", 3), ("proj_b", 1), ("proj_c", 2)):
        for _ in range(count):
            await added(recordings, project_id=project, job=a_job())
    turn, last = [], ""
    for _ in range(6):
        recording = await recordings.next_claimable(Lane.HERE, last)
        last = recording.project_id
        turn.append(last)
        await recordings.save(recording, recording.changed(job=recording.job.claimed("one", now(), 60)))
    assert turn == ["proj_a", "proj_b", "proj_c", "proj_a", "proj_c", "proj_a"]
    assert await recordings.next_claimable(Lane.HERE, last) is None


async def test_a_look_past_the_head_stays_in_the_order_and_comes_back_to_the_head_where_few_wait(recordings):
    at = now() - timedelta(minutes=1)
    jobs = [a_job(at + timedelta(seconds=number)) for number in range(4)]
    waiting = [(await added(recordings, project_id="proj_b", job=job)).id for job in jobs]
    assert [(await recordings.next_claimable(Lane.HERE, "proj_a", skip)).id for skip in range(5)] == [*waiting, waiting[0]]
    assert [(await recordings.next_claimable(Lane.HERE, "proj_c", skip)).id for skip in (0, 3, 9)] == [
        waiting[0],
        waiting[3],
        waiting[0],
    ]


async def test_a_job_that_is_not_due_is_not_claimable(recordings):
    await added(recordings, job=a_job(now() + timedelta(minutes=1)))
    await added(recordings)
    assert await recordings.next_claimable(Lane.HERE, "") is None


async def test_published_events_leave_the_outbox_and_later_ones_stay(recordings):
    before = await added(recordings)
    (waiting,) = await recordings.unpublished(now() + timedelta(seconds=1), 10)
    after = before.changed(status=RecordingStatus.UPLOADED)
    await recordings.save(before, after, recording_uploaded(after, 1))
    published = {before.id: [event.event_id for event in waiting.events]}
    for _ in range(2):
        await recordings.remove_published(published)
        (left,) = await recordings.unpublished(now() + timedelta(seconds=1), 10)
        assert [event.type for event in left.events] == ["recording.uploaded"]


async def test_a_list_is_newest_first_by_cursor_offset_and_filter(recordings):
    made = sorted([(await added(recordings, device_id=f"dev_{number % 2}")).id for number in range(6)], reverse=True)

    async def ids(matching, limit, **position):
        page = await recordings.page(TENANT, matching, limit, **position)
        versions = await recordings.page_of_versions(TENANT, matching, limit, **position)
        assert [(one.id, one.version) for one in versions] == [(one.id, one.version) for one in page]
        return [recording.id for recording in page]

    assert await ids({}, 10) == made
    assert await ids({}, 2, before=made[1]) == made[2:4]
    assert await ids({}, 2, offset=4) == made[4:]
    assert len(await ids({"device_id": "dev_1"}, 10)) == 3
    assert await ids({"device_id": "dev_1", "status": "uploaded"}, 10) == []


async def test_a_deleted_recording_is_gone_from_reads(recordings):
    recording = await added(recordings)
    await recordings.save(recording, msgspec.structs.replace(recording, deleted_at=now()))
    assert await recordings.get(TENANT, recording.id) is None
    assert await recordings.page(TENANT, {}, 10) == []
