"""Erasing what deleted end users leave behind: surely, after crashes, and what came at the moment of the deletion, too."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from services.ingest.end_users.erase import LEASE, SETTLED_AFTER, EraseEndUsers, Remains
from services.ingest.refusals import not_found
from shared.domain.clock import now
from shared.domain.end_user import EndUser
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from tests.fakes.devices import FakeEndUsers
from tests.fakes.ingest import FakeRecordings

TENANT = Tenant("proj_1", Mode.LIVE)


class Scene:
    """One deleted end user with recordings, beside others; `killed_after` makes the sweep fail after so many deletions."""

    def __init__(self):
        self.end_users, self.recordings = FakeEndUsers(), FakeRecordings()
        self.released, self.forgotten, self.silenced, self.deletions, self.killed_after = [], [], [], 0, None

    async def begin(self, recordings=3, deleted_ago=timedelta()):
        at = now() - deleted_ago
        end_user = EndUser(id=new_id("eu"), project_id="proj_1", mode=Mode.LIVE, created_at=at, updated_at=at)
        await self.end_users.add(end_user)
        for _ in range(recordings):
            await self.record(end_user.id)
        await self.end_users.remove(TENANT, end_user.id, at)
        return end_user

    async def record(self, end_user_id, tenant=TENANT):
        recording = Recording(
            id=new_id("rec"),
            project_id=tenant.project_id,
            mode=tenant.mode,
            status=RecordingStatus.PENDING,
            end_user_id=end_user_id,
            created_at=now(),
            updated_at=now(),
        )
        return await self.recordings.add(recording)

    def eraser(self, **settings):
        return EraseEndUsers(self.end_users, self.remains(), **settings)

    def remains(self, **others):
        usual = {"release": self.release, "erase_configs": self.erase_configs, "delete_recording": self.delete}
        return Remains(recordings=self.recordings, erase_commands=self.erase_commands, **(usual | others))

    async def erase_configs(self, tenant, end_user_id):
        self.forgotten.append((tenant, end_user_id))

    async def erase_commands(self, tenant, end_user_id):
        self.silenced.append((tenant, end_user_id))

    async def release(self, tenant, end_user_id):
        self.released.append((tenant, end_user_id))

    async def delete(self, tenant, recording_id):
        if self.killed_after is not None and self.deletions >= self.killed_after:
            raise TransientFailure("killed")
        self.deletions += 1
        found = await self.recordings.get(tenant, recording_id)
        if found is None:
            raise not_found("recording")
        await self.recordings.save(found, found.changed(deleted_at=now()))

    def left(self, end_user):
        return [one for one in self.recordings.documents.values() if one.end_user_id == end_user.id and one.deleted_at is None]

    def kept(self, end_user):
        return self.end_users.rows[TENANT, end_user.id]

    def pass_time(self, end_user):
        """Let the pause or the lease of the end user end."""
        self.end_users.rows[TENANT, end_user.id] = msgspec.structs.replace(self.kept(end_user), erasure_due_at=now())


@pytest.fixture
def scene():
    return Scene()


async def test_every_recording_of_the_end_user_is_deleted_and_no_other(scene):
    end_user = await scene.begin(recordings=120)
    other = await scene.record(new_id("eu"))
    foreign = await scene.record(end_user.id, Tenant("proj_1", Mode.TEST))
    await scene.eraser()()
    assert [one.id for one in scene.left(end_user)] == [foreign.id]
    assert (await scene.recordings.get(TENANT, other.id)) is not None
    assert scene.released == scene.forgotten == scene.silenced == [(TENANT, end_user.id)]


async def test_it_is_swept_again_at_growing_pauses_until_nothing_more_can_come(scene):
    end_user = await scene.begin()
    await scene.eraser()()
    first = scene.kept(end_user).erasure_due_at
    assert timedelta(seconds=4) < first - now() < timedelta(seconds=6)
    await scene.record(end_user.id)  # by a request that had looked the end user up before the deletion
    await scene.eraser()()
    assert len(scene.left(end_user)) == 1, "the pause is not over"
    scene.pass_time(end_user)
    await scene.eraser()()
    assert scene.left(end_user) == []
    assert scene.kept(end_user).erasure_due_at <= scene.kept(end_user).deleted_at + SETTLED_AFTER


async def test_the_sweep_after_the_settling_time_is_the_last(scene):
    end_user = await scene.begin(deleted_ago=SETTLED_AFTER)
    await scene.eraser()()
    assert scene.left(end_user) == []
    assert scene.kept(end_user).erasure_due_at is None
    await scene.eraser()()
    assert len(scene.released) == 1


async def test_pauses_double_and_the_last_ends_with_the_settling_time(scene):
    for minutes, pause_minutes in ((1, 1), (4, 4), (9, 1)):
        end_user = await scene.begin(recordings=0, deleted_ago=timedelta(minutes=minutes))
        await scene.eraser()()
        assert abs(scene.kept(end_user).erasure_due_at - now() - timedelta(minutes=pause_minutes)) < timedelta(seconds=2)


async def test_what_a_crash_left_is_taken_up_when_the_lease_ends(scene):
    end_user = await scene.begin(recordings=12)
    scene.killed_after = 7
    with pytest.raises(TransientFailure):
        await scene.eraser()()
    assert 0 < len(scene.left(end_user)) < 12
    assert now() < scene.kept(end_user).erasure_due_at <= now() + LEASE
    scene.killed_after = None
    await scene.eraser()()
    assert scene.left(end_user), "another holds the lease"
    scene.pass_time(end_user)
    await scene.eraser()()
    assert scene.left(end_user) == []


async def test_replicas_share_the_work_and_nobody_does_it_twice(scene):
    end_users = [await scene.begin(recordings=4) for _ in range(6)]
    await asyncio.gather(*(scene.eraser()() for _ in range(3)))
    assert [scene.left(end_user) for end_user in end_users] == [[]] * 6
    assert sorted(scene.released) == sorted((TENANT, end_user.id) for end_user in end_users)
    assert scene.deletions == 24


async def test_a_recording_that_cannot_be_deleted_keeps_no_other_back_and_is_tried_again(scene):
    """As one is that a newer release has left in a form of its own."""
    end_user = await scene.begin(recordings=120, deleted_ago=SETTLED_AFTER)
    unreadable, delete = scene.left(end_user)[60], scene.delete

    async def deleted(tenant, recording_id):
        if recording_id == unreadable.id:
            raise msgspec.ValidationError("Invalid enum value 'thawed'")
        await delete(tenant, recording_id)

    await EraseEndUsers(scene.end_users, scene.remains(delete_recording=deleted))()
    assert [one.id for one in scene.left(end_user)] == [unreadable.id]
    assert now() < scene.kept(end_user).erasure_due_at <= now() + LEASE
    scene.pass_time(end_user)
    await scene.eraser()()
    assert scene.left(end_user) == []
    assert scene.kept(end_user).erasure_due_at is None


async def test_a_recording_that_somebody_deletes_meanwhile_is_no_error(scene):
    end_user = await scene.begin(recordings=3)
    victim, delete = scene.left(end_user)[0], scene.delete

    async def beaten(tenant, recording_id):
        if recording_id == victim.id:
            await delete(tenant, recording_id)
        await delete(tenant, recording_id)

    await EraseEndUsers(scene.end_users, scene.remains(delete_recording=beaten))()
    assert scene.left(end_user) == []


async def test_whoever_lost_the_lease_leaves_the_rest_to_its_new_holder(scene):
    end_user = await scene.begin(recordings=3)
    delete = scene.delete

    async def overtaken(tenant, recording_id):
        scene.pass_time(end_user)
        await delete(tenant, recording_id)

    await EraseEndUsers(scene.end_users, scene.remains(delete_recording=overtaken))._sweep(
        await scene.end_users.claim_erasure(now(), now() + LEASE)
    )
    assert scene.kept(end_user).erasure_due_at <= now(), "the new holder's claim stands"
