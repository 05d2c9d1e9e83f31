"""A job whose document this release does not know keeps no other from being claimed, and is not lost."""

from datetime import timedelta

import pytest

from services.transcriber.job_rules import TranscriptionJobRules
from shared.domain.clock import now
from shared.domain.end_user import EndUser
from shared.domain.ids import new_id
from shared.domain.provider_order import provider_order
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcription import ProviderName, TranscriptionRequest, queued_transcription
from shared.events.transcription import TranscriptionQueued, transcription_event
from shared.storage.end_users import EndUsers
from shared.storage.provider_orders import ProviderOrders
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.telemetry.logs import captured_lines
from shared.workers.leases import Leases


class Silence:
    def nudge(self, outbox, aggregate_id, events):
        """Publish nothing."""


@pytest.fixture
async def queue(mongo):
    store = Transcriptions(mongo)
    await store.ensure_indexes()
    return Queue(mongo.database["transcriptions"], store)


class Queue:
    """Transcriptions that wait for a worker."""

    def __init__(self, collection, store):
        self.collection, self.store = collection, store
        self.leases = Leases(store, Silence(), TranscriptionJobRules())

    async def add(self, project_id="proj_1", **spoilt):
        """Queue one; with `spoilt` fields it is one of a newer release."""
        at = now()
        about = {"mode": Mode.LIVE, "status": RecordingStatus.UPLOADED, "created_at": at, "updated_at": at}
        recording = Recording(id=new_id("rec"), project_id=project_id, **about)
        waiting = queued_transcription(new_id("txn"), recording, TranscriptionRequest())
        await self.store.start(waiting, transcription_event(TranscriptionQueued, waiting))
        if spoilt:
            await self.collection.update_one({"_id": waiting.id}, {"$set": spoilt})
        return waiting.id

    async def claims(self):
        """Claim until there is nothing more to claim."""
        claimed = []
        while (one := await self.leases.claim("worker", 60)) is not None:
            claimed.append(one.id)
        return claimed


async def test_one_of_a_newer_release_is_passed_over_named_and_stays(queue):
    newer = await queue.add("proj_1", status="translating")
    behind_it, another = await queue.add("proj_1"), await queue.add("proj_2")
    with captured_lines() as lines:
        assert sorted(await queue.claims()) == sorted([behind_it, another])
    assert {(line["event"], line["of"], line["id"]) for line in lines} == {("document.unreadable", "transcriptions", newer)}
    assert (await queue.collection.find_one({"_id": newer}))["job"]["status"] == "queued"


async def test_however_many_there_are_they_keep_no_other_from_being_claimed(queue):
    for project in ("proj_1", "proj_2", "proj_3"):
        for _ in range(9):
            await queue.add(project, **{"job.kind": "translate"})
    readable = [await queue.add("proj_2"), await queue.add("proj_4")]
    assert sorted(await queue.claims()) == sorted(readable)


async def test_in_a_queue_of_nothing_else_there_is_nothing_to_claim(queue):
    await queue.add(status="translating")
    assert await queue.claims() == []


async def test_what_else_a_look_leaves_out_stays_left_out_behind_one_that_cannot_be_read(mongo):
    recordings = Recordings(mongo)
    made = []
    for number in range(3):
        at = now() - timedelta(minutes=9 - number)
        about = {"mode": Mode.LIVE, "status": RecordingStatus.UPLOADED, "created_at": at, "updated_at": at}
        made.append(await recordings.add(Recording(id=new_id("rec"), project_id="proj_1", transcription_due=True, **about)))
    left_out, newer, wanted = made
    await mongo.database["recordings"].update_one({"_id": newer.id}, {"$set": {"status": "dreamt_of"}})
    assert await recordings.due_for_transcription(now(), 1, [left_out.id]) == [wanted]


async def test_an_order_at_a_provider_keeps_none_behind_it_from_being_worked_off(mongo):
    orders = ProviderOrders(mongo)
    newer, other = [await an_order(orders, minutes_ago) for minutes_ago in (9, 5)]
    await mongo.database["provider_orders"].update_one({"_id": newer.id}, {"$set": {"provider": "one of tomorrow"}})
    until = now() + timedelta(minutes=5)
    with captured_lines() as lines:
        assert (await orders.claim_due(until)).id == other.id
        assert await orders.claim_due(until) is None
    assert [(line["event"], line["of"], line["id"]) for line in lines] == [("document.unreadable", "provider_orders", newer.id)]


async def an_order(orders, minutes_ago):
    at = now()
    about = {"mode": Mode.LIVE, "status": RecordingStatus.UPLOADED, "created_at": at, "updated_at": at}
    recording = Recording(id=new_id("rec"), project_id="proj_1", **about)
    of = queued_transcription(new_id("txn"), recording, TranscriptionRequest(provider=ProviderName.DEEPGRAM))
    order = provider_order(of, at - timedelta(minutes=minutes_ago), copies=("a copy",))
    await orders.keep(order)
    return order


async def test_a_deleted_end_user_keeps_none_behind_it_from_being_erased(mongo):
    end_users, at = EndUsers(mongo), now()
    about = {"project_id": "proj_1", "mode": Mode.LIVE, "created_at": at, "updated_at": at}
    newer, other = (EndUser(id=new_id("eu"), **about) for _ in range(2))
    for minutes_ago, end_user in ((9, newer), (5, other)):
        await end_users.add(end_user)
        await end_users.remove(end_user.tenant, end_user.id, at - timedelta(minutes=minutes_ago))
    await mongo.database["end_users"].update_one({"_id": newer.id}, {"$set": {"mode": "shadow"}})
    with captured_lines() as lines:
        assert (await end_users.claim_erasure(at, at + timedelta(minutes=2))).id == other.id
    assert [(line["event"], line["of"], line["id"]) for line in lines] == [("document.unreadable", "end_users", newer.id)]
