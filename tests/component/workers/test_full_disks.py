"""A machine without room for the work, as one whose disk is full: no job is given up for it until it has waited for a day."""

import errno
from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.errors import FailureReason
from shared.domain.job import JobStatus
from shared.domain.recording import RecordingStatus
from shared.workers.failures import NoRoom

_TROUBLES = {
    "full": errno.ENOSPC,
    "full of ours": errno.EDQUOT,
    "read-only": errno.EROFS,
    "too many open files": errno.EMFILE,
    "too many open files of all": errno.ENFILE,
    "gone": errno.ENOENT,
    "closed to us": errno.EACCES,
    "broken": errno.EIO,
}


_ERRORS = [OSError(number, name) for name, number in _TROUBLES.items()]


@pytest.mark.parametrize("full", [NoRoom("of the worker"), *_ERRORS], ids=str)
async def test_a_full_disk_is_not_counted_and_gets_time_to_become_less_full(scene, full):
    recording = await scene.queue()

    async def fill(claimed):
        raise full

    scene.run(fill)
    await scene.until(lambda: scene.job(recording).status is JobStatus.QUEUED and scene.job(recording).token == 1)
    assert scene.job(recording).attempts == 0
    assert scene.job(recording).available_at > now() + timedelta(seconds=20)


async def test_what_finds_no_room_for_a_day_is_given_up(scene):
    recording = await scene.queue(attempts=1)
    present = scene.store.documents[recording.id]
    long_ago = msgspec.structs.replace(present.job, queued_at=now() - timedelta(days=1, seconds=1))
    scene.store.documents[recording.id] = msgspec.structs.replace(present, job=long_ago)

    async def fill(claimed):
        raise NoRoom("OSError: no space left")

    scene.run(fill, max_attempts=2)
    await scene.until(lambda: scene.store.documents[recording.id].status is RecordingStatus.FAILED)
    assert scene.store.documents[recording.id].failure.reason is FailureReason.PROCESSING_ERROR
