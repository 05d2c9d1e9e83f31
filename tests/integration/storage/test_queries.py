"""What the repositories ask MongoDB, as the server saw it: each query by an index, in its order, reading little else."""

import asyncio
import secrets
from datetime import timedelta

import msgspec
import pytest

from shared.domain.caller import SCOPES, ApiKey, KeyKind
from shared.domain.clock import now
from shared.domain.delivery import Delivery, DeliveryStatus, DueDelivery
from shared.domain.ids import new_id
from shared.domain.job import Job, JobKind, JobStatus, Lane
from shared.domain.media import Media, MediaType
from shared.domain.project import Organization, Project
from shared.domain.provider_order import provider_order
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcription import ProviderName, TranscriptionRequest, queued_transcription
from shared.events.recording import RecordingCreated, recording_event
from shared.settings import MongoSettings
from shared.storage.api_keys import ApiKeys
from shared.storage.events import Events
from shared.storage.mongo import Mongo
from shared.storage.organizations import Organizations
from shared.storage.projects import Projects
from shared.storage.provider_keys import ProviderKeys
from shared.storage.provider_orders import ProviderOrders
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.storage.transcripts import Transcripts
from shared.storage.webhook_deliveries import WebhookDeliveries
from shared.storage.webhook_endpoints import WebhookEndpoints
from tests.fakes.sealing import a_sealing
from tests.integration.storage.profiling import new_moment

TENANT = Tenant("proj_3", Mode.LIVE)
MANY = 400
LEEWAY = 25  # documents or keys that a query may read beyond those it returns: the planner tries several indexes


def a_recording(number):
    """One in twenty waits for something; most of a project's are long done."""
    at = now() - timedelta(minutes=number + 10)
    waits = number % 20 == 0
    job = Job(id=new_id("job"), kind=JobKind.STITCH, queued_at=at, available_at=at)
    return Recording(
        id=new_id("rec"),
        project_id=f"proj_{number % 7}",
        mode=TENANT.mode,
        status=RecordingStatus.UPLOADED if waits else RecordingStatus.FAILED,
        device_id=f"dev_{number % 5}",
        end_user_id=f"eu_{number % 6}",
        job=job if waits else job.ended(JobStatus.COMPLETED),
        sweep_at=at if waits else None,
        transcription_due=waits,
        recording_uuid=f"uuid_{number}",
        media=(Media(id=f"med_{number}", type=MediaType.AUDIO, content_type="audio/wav", object_key="a", created_at=at),),
        created_at=at,
        updated_at=at,
    )


def a_delivery(number):
    at = now() - timedelta(minutes=number)
    waits = number % 20 == 0
    return Delivery(
        id=new_id("whd"),
        event_id=new_id("evt"),
        event_type="recording.created",
        endpoint_id=f"whe_{number % 9}",
        project_id=f"proj_{number % 7}",
        mode=TENANT.mode,
        recording_id=new_id("rec"),
        occurred_at=at,
        body=b"{}",
        status=DeliveryStatus.PENDING if waits else DeliveryStatus.SUCCEEDED,
        next_attempt_at=at if waits else None,
        created_at=at,
        updated_at=at,
    )


class Repositories:
    """Every repository that is asked for more than one document by its id."""

    def __init__(self, mongo):
        self.mongo = mongo
        self.recordings, self.transcriptions, self.transcripts = Recordings(mongo), Transcriptions(mongo), Transcripts(mongo)
        self.events, self.deliveries = Events(mongo), WebhookDeliveries(mongo)
        self.tests = WebhookDeliveries(mongo, waiting=DeliveryStatus.TESTING)
        self.endpoints, self.keys = WebhookEndpoints(mongo, a_sealing()), ApiKeys(mongo)
        self.organizations, self.projects = Organizations(mongo), Projects(mongo)
        self.provider_keys, self.provider_orders = ProviderKeys(mongo, a_sealing()), ProviderOrders(mongo)

    async def fill(self):
        jobs, told = (self.recordings, self.transcriptions, self.transcripts), (self.events, self.deliveries)
        indexed = (*jobs, *told, self.endpoints, self.keys, self.projects, self.provider_keys, self.provider_orders)
        await asyncio.gather(*(repository.ensure_indexes() for repository in indexed))
        recordings = [a_recording(number) for number in range(MANY)]
        events = [recording_event(RecordingCreated, recording) for recording in recordings]
        await asyncio.gather(*map(self.recordings.add, recordings, events))
        done = {event.recording_id: [event.event_id] for number, event in enumerate(events) if number % 20}
        await self.recordings.remove_published(done)
        await self.events.keep(events)
        await self.events.fanned_out([event.event_id for event in events[20:]])
        transcriptions = [queued_transcription(new_id("txn"), recording, TranscriptionRequest()) for recording in recordings]
        await asyncio.gather(*map(self.transcriptions.add, transcriptions))
        orders = [provider_order(item, item.created_at, tokens=(item.id,), copies=("c",)) for item in transcriptions]
        await asyncio.gather(*map(self.provider_orders.keep, orders))
        await asyncio.gather(*(self.provider_orders.close(order, moment()) for number, order in enumerate(orders) if number % 20))
        self.waiting = next(item for item in reversed(transcriptions) if item.project_id == TENANT.project_id)
        await self.deliveries.add_new([a_delivery(number) for number in range(MANY)])
        await asyncio.gather(*(self.add_tenancy(number) for number in range(MANY)))

    async def add_tenancy(self, number):
        project, at = f"proj_{number % 7}", now()
        await self.provider_keys.put(Tenant(f"proj_{number % 100}"), list(ProviderName)[number % 4], "secret")
        endpoint = {"url": "https://a.example", "events": ["recording.created"], "secrets": [], "deleted_at": None}
        rest = {"status": "enabled", "created_at": at, "updated_at": at}
        row = {"_id": f"whe_{number:03d}", "project_id": project, "mode": TENANT.mode, **endpoint, **rest}
        await self.mongo.database["webhook_endpoints"].insert_one(row)
        await self.organizations.add(Organization(id=f"org_{number:03d}", name="One", created_at=at))
        await self.projects.add(Project(id=f"proj_{number:03d}", organization_id=f"org_{number % 7}", name="One", created_at=at))
        key = {"mode": TENANT.mode, "kind": KeyKind.SECRET, "scopes": SCOPES, "hint": "sk", "created_at": at}
        await self.keys.add(ApiKey(id=f"key_{number:03d}", project_id=project, secret_sha256=f"hash_{number:03d}", **key))


@pytest.fixture(scope="module")
async def repositories(mongo_url):
    """Filled repositories, of whose queries the server keeps a record."""
    mongo = Mongo(MongoSettings(mongo_url=mongo_url, mongo_database=f"test_{secrets.token_hex(6)}"))
    repositories = Repositories(mongo)
    await repositories.fill()
    await mongo.database.command("profile", 2)
    yield repositories
    await mongo.database.command("profile", 0)
    mongo.close()


def moment():
    return now() + timedelta(seconds=1)


QUERIES = {
    "a job of a later project": lambda r: r.recordings.next_claimable(Lane.HERE, "proj_2"),
    "a job of the first project": lambda r: r.recordings.next_claimable(Lane.HERE, "proj_9"),
    "a job past the first": lambda r: r.recordings.next_claimable(Lane.HERE, "proj_2", 2),
    "a transcription job of a later project": lambda r: r.transcriptions.next_claimable(Lane.HERE, "proj_2"),
    "a transcription job of the first project": lambda r: r.transcriptions.next_claimable(Lane.HERE, "proj_9"),
    "no transcription job at all": lambda r: r.transcriptions.next_claimable(Lane.ELSEWHERE, "proj_2"),
    "how many jobs go first": lambda r: r.transcriptions.ahead_of(r.waiting, 20),
    "a tenant's keys for providers": lambda r: r.provider_keys.of_tenant(TENANT),
    "an order by its token": lambda r: r.provider_orders.by_token(r.waiting.id),
    "an order that is due": lambda r: r.provider_orders.claim_due(moment()),
    "the running jobs of a project": lambda r: r.transcriptions.running_of("proj_1", Lane.HERE, 10),
    "the depth of the stitch queue": lambda r: r.recordings.queue_state(),
    "the depth of the erasures of recordings": lambda r: r.recordings.erasures_due(),
    "outboxes of recordings": lambda r: r.recordings.unpublished(moment(), 500),
    "outboxes of transcriptions": lambda r: r.transcriptions.unpublished(moment(), 500),
    "the outbox of one transcription": lambda r: r.transcriptions.left_behind(r.waiting),
    "undecided transcriptions": lambda r: r.recordings.due_for_transcription(moment(), 100),
    "a recording by its uuid": lambda r: r.recordings.twin_of(msgspec.structs.replace(a_recording(3), recording_uuid="uuid_3")),
    "a recording by its file": lambda r: r.recordings.by_media(TENANT, "med_10"),
    "recordings to sweep": lambda r: r.recordings.to_sweep(moment(), 100),
    "events not fanned out": lambda r: r.events.not_fanned_out(moment(), 100),
    "events of a recording": lambda r: r.events.kept_since(TENANT, "rec_1", 0, 100),
    "events of a recording from a position": lambda r: r.events.kept_since(TENANT, "rec_1", 5 << 32, 100),
    "the position of an event": lambda r: r.events.position_after(TENANT, "rec_1", "evt_1"),
    "the newest transcription": lambda r: r.transcriptions.newest_of(TENANT, "rec_1"),
    "recordings to erase": lambda r: r.recordings.to_erase(20),
    "transcriptions of a deleted recording": lambda r: r.transcriptions.delete_of(TENANT, "rec_1"),
    "transcriptions to remove": lambda r: r.transcriptions.remove_of(TENANT, "rec_1"),
    "transcripts to erase": lambda r: r.transcripts.erase_texts(TENANT, "rec_1"),
    "names in events to erase": lambda r: r.events.erase_texts(TENANT, "rec_1"),
    "a due delivery of a later endpoint": lambda r: r.deliveries.next_due("whe_2", []),
    "a due delivery of an endpoint that is not busy": lambda r: r.deliveries.next_due("", ["whe_0", "whe_1"]),
    "an endpoint's due deliveries": lambda r: r.deliveries.due_of("whe_4", 8),
    "the depth of the delivery queue": lambda r: r.deliveries.queue_state(),
    "deliveries to cancel": lambda r: r.deliveries.cancel_due("whe_6"),
    "texts to erase": lambda r: r.deliveries.erase_texts(TENANT, "rec_1"),
    "an endpoint's deliveries": lambda r: r.deliveries.page(TENANT, {"endpoint_id": "whe_3"}, 26),
    "an endpoint's failed deliveries": lambda r: r.deliveries.page(TENANT, {"endpoint_id": "whe_3", "status": "failed"}, 26),
    "an endpoint's deliveries of one event": lambda r: r.deliveries.page(
        TENANT, {"endpoint_id": "whe_3", "event_type": "recording.failed"}, 26, before="whe_9"
    ),
    "an endpoint's failed deliveries of one event": lambda r: r.deliveries.page(
        TENANT, {"endpoint_id": "whe_3", "status": "pending", "event_type": "recording.failed"}, 26
    ),
    "deliveries to hold": lambda r: r.deliveries.hold_due("whe_5", now()),
    "deliveries to resume": lambda r: r.deliveries.resume("whe_5"),
    "tests under way": lambda r: r.deliveries.tests_under_way("whe_5", 5),
    "a due test": lambda r: r.tests.next_due("whe_2", []),
    "an endpoint's due tests": lambda r: r.tests.due_of("whe_4", 8),
    "the slots of endpoints": lambda r: r.endpoints._free_slots(TENANT),
    "endpoints to seal anew": lambda r: r.endpoints.reseal(),
    "endpoints": lambda r: r.endpoints.page(TENANT, 26),
    "subscribed endpoints": lambda r: r.endpoints.subscribed(TENANT, "recording.created"),
    "keys": lambda r: r.keys.page("proj_3", 26),
    "a key by its secret": lambda r: r.keys.by_secret("hash_007"),
    "organizations": lambda r: r.organizations.page(26, before="org_100"),
    "projects of all": lambda r: r.projects.page(None, 26, offset=5),
    "projects of one organization": lambda r: r.projects.page("org_1", 26),
    "a transcript": lambda r: r.transcripts.get(TENANT, "txn_1"),
}
QUERIES |= {
    f"transcriptions by {matching} {position}": lambda r, matching=matching, position=position: r.transcriptions.page(
        TENANT, matching, 26, **position
    )
    for matching in ({}, {"status": "pending"}, {"recording_id": "rec_1"}, {"recording_id": "rec_1", "status": "failed"})
    for position in ({}, {"before": "txn_5"}, {"offset": 10})
}
QUERIES["recordings of a page"] = lambda r: r.recordings.undeleted(TENANT, ["rec_1", r.waiting.recording_id])
QUERIES["texts of a page"] = lambda r: r.transcripts.texts(TENANT, ["txn_1", "txn_2"])
FILTERS = [
    {name: value for name, value in (("status", status), ("device_id", device), ("end_user_id", user)) if value}
    for status in (None, "uploaded", "failed")
    for device in (None, "dev_1")
    for user in (None, "eu_1")
]
QUERIES |= {
    f"recordings by {matching} {position}": lambda r, matching=matching, position=position: r.recordings.page(
        TENANT, matching, 26, **position
    )
    for matching in FILTERS
    for position in ({}, {"before": "rec_5"}, {"offset": 10})
}
QUERIES |= {
    f"versions of recordings by {matching}": lambda r, matching=matching: r.recordings.page_of_versions(TENANT, matching, 26)
    for matching in FILTERS
}


async def asked_by(repositories, query):
    """Run `query` and return what the server wrote down about it."""
    profile = repositories.mongo.database["system.profile"]
    began = await new_moment(repositories.mongo)
    await query(repositories)
    everything = {
        "ts": {"$gte": began},
        "op": {"$in": ["query", "command", "update", "remove"]},
        "planSummary": {"$exists": True},
    }
    return [entry async for entry in profile.find(everything) if not entry["ns"].endswith("system.profile")]


FIRST_BRANCH_ONLY = {"a job of a later project", "a job past the first", "a transcription job of a later project"}
"""What the first of a query's branches answers: the second, which is never begun, is written down as a sort still to be done."""


async def sorts(repositories, entry):
    """Tell whether the first branch of a query sorts what it reads, by the plan for it."""
    command = {name: entry["command"][name] for name in ("aggregate", "pipeline", "cursor")}
    plan = await repositories.mongo.database.command("explain", command)
    return "SORT" in str(plan["stages"][0]["$cursor"]["queryPlanner"]["winningPlan"])


def assert_indexed(entries, *, by_plan=False):
    """Assert that indexes answered, in their order, and that little more was read than was returned or changed."""
    assert entries
    for entry in entries:
        assert "COLLSCAN" not in entry["planSummary"], entry["command"]
        assert by_plan or not entry.get("hasSortStage"), entry["command"]
        read = max(entry["docsExamined"], entry["keysExamined"])
        assert read <= entry.get("nreturned", 0) + entry.get("nMatched", 0) + LEEWAY, (entry["planSummary"], read)


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_is_answered_by_an_index_in_its_order(repositories, name):
    entries = await asked_by(repositories, QUERIES[name])
    assert_indexed(entries, by_plan=name in FIRST_BRANCH_ONLY)
    if name in FIRST_BRANCH_ONLY:
        assert not [entry["command"] for entry in entries if await sorts(repositories, entry)]


async def test_claiming_a_delivery_reads_that_delivery_alone(repositories):
    delivery = (await repositories.deliveries.page(TENANT, {"endpoint_id": "whe_3"}, 1))[0]
    due = DueDelivery(id=delivery.id, endpoint_id="whe_3", project_id="proj_3", mode=Mode.LIVE, token=0)
    entries = await asked_by(repositories, lambda r: r.deliveries.claim(due, "worker", now()))
    assert all(entry["docsExamined"] <= 1 for entry in entries)
