"""Pages that are asked for at the same moment are read by one query, each by an index, and each is its own."""

import asyncio
import secrets

import pytest

from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.settings import MongoSettings
from shared.storage.mongo import Mongo
from shared.storage.recordings import Recordings
from tests.integration.storage.profiling import new_moment

TENANTS = [Tenant(f"proj_{number}", Mode.LIVE) for number in range(5)]
MANY = 300


def a_recording(number):
    at = now()
    return Recording(
        id=new_id("rec"),
        project_id=TENANTS[number % 5].project_id,
        mode=Mode.LIVE,
        status=RecordingStatus.FAILED if number % 3 else RecordingStatus.PENDING,
        device_id=f"dev_{number % 4}",
        created_at=at,
        updated_at=at,
    )


@pytest.fixture(scope="module")
async def mongo(mongo_url):
    """A database of which the server keeps a record, with recordings of several tenants."""
    mongo = Mongo(MongoSettings(mongo_url=mongo_url, mongo_database=f"test_{secrets.token_hex(6)}"))
    recordings = Recordings(mongo)
    await recordings.ensure_indexes()
    await asyncio.gather(*(recordings.add(a_recording(number)) for number in range(MANY)))
    await mongo.database.command("profile", 2)
    yield mongo
    await mongo.database.command("profile", 0)
    mongo.close()


@pytest.fixture
def recordings(mongo):
    return Recordings(mongo)


ASKED = [
    (tenant, matching, limit, before)
    for tenant in TENANTS[:4]
    for matching in ({}, {"status": "failed"}, {"device_id": "dev_1", "status": "pending"}, {"device_id": "dev_none"})
    for limit in (1, 7, 101)
    for before in (None, "rec_1", "rec_Z")
]


async def test_each_of_a_crowd_gets_its_own_page(recordings):
    alone = [await recordings.page(*asked[:3], before=asked[3]) for asked in ASKED]
    together = await asyncio.gather(*(recordings.page_of_versions(*asked[:3], before=asked[3]) for asked in ASKED))
    assert [[(one.id, one.version) for one in page] for page in together] == [
        [(one.id, one.version) for one in page] for page in alone
    ]
    assert any(together)


async def test_a_page_shows_whatever_was_stored_before_it_was_asked_for(recordings):
    tenant = Tenant("proj_busy", Mode.LIVE)

    async def store_and_look(number):
        recording = a_recording(number)
        mine = Recording(**{name: getattr(recording, name) for name in recording.__struct_fields__} | {"project_id": "proj_busy"})
        await recordings.add(mine)
        return mine.id in {one.id for one in await recordings.page_of_versions(tenant, {}, 101)}

    assert all(await asyncio.gather(*(store_and_look(number) for number in range(60))))


async def test_equal_pages_are_read_once_and_given_to_all_who_asked_for_them(mongo, recordings):
    profile = mongo.database["system.profile"]
    began = await new_moment(mongo)
    asked = [(tenant, {}, limit) for tenant in TENANTS[:2] for limit in (7, 101)] * 6
    pages = await asyncio.gather(*(recordings.page_of_versions(*one) for one in asked))
    for one, page in zip(asked, pages, strict=True):
        assert [version.id for version in page] == [recording.id for recording in await recordings.page(*one)]
    entries = [entry async for entry in profile.find({"ts": {"$gte": began}, "command.aggregate": "recordings"})]
    assert max(len([stage for stage in entry["command"]["pipeline"] if "$unionWith" in stage]) for entry in entries) == 3
    assert sum(entry["nreturned"] for entry in entries) <= 8
    assert len({id(page) for page in pages}) <= 9


async def test_a_page_that_a_crowd_asks_for_is_read_once_however_large_the_crowd(mongo, recordings):
    await recordings.page_of_versions(TENANTS[0], {}, 7)
    profile = mongo.database["system.profile"]
    began = await new_moment(mongo)
    pages = await asyncio.gather(*(recordings.page_of_versions(TENANTS[0], {}, 7) for _ in range(64)))
    asked = [entry async for entry in profile.find({"ts": {"$gte": began}, "command.find": "recordings"})]
    assert len(asked) <= 2  # whoever came first may have been alone
    assert len({id(page) for page in pages}) == len(asked)


async def test_each_page_of_one_query_is_read_by_an_index_in_its_order(mongo, recordings):
    profile = mongo.database["system.profile"]
    began = await new_moment(mongo)
    asked = ASKED[:24]
    pages = await asyncio.gather(*(recordings.page_of_versions(*one[:3], before=one[3]) for one in asked))
    entries = [entry async for entry in profile.find({"ts": {"$gte": began}, "command.aggregate": "recordings"})]
    assert entries
    returned = sum(map(len, pages))
    assert sum(entry["docsExamined"] for entry in entries) <= returned + len(pages)
    for entry in entries:
        assert "COLLSCAN" not in entry["planSummary"]
        assert not entry.get("hasSortStage")
        explained = await mongo.database.command("explain", {**_command(entry), "cursor": {}}, verbosity="queryPlanner")
        plans = list(_plans(explained))
        assert "IXSCAN" in plans
        assert not {"COLLSCAN", "SORT", "SORT_MERGE", "$sort"} & set(plans)


def _command(entry):
    return {name: entry["command"][name] for name in ("aggregate", "pipeline")}


def _plans(explained):
    """Yield the kinds of all stages, those of the pipelines inside included."""
    if isinstance(explained, dict):
        if isinstance(explained.get("stage"), str):
            yield explained["stage"]
        for name, inside in explained.items():
            if name not in {"command", "rejectedPlans"}:
                yield from ([name] if name.startswith("$") else [])
                yield from _plans(inside)
    elif isinstance(explained, list):
        for inside in explained:
            yield from _plans(inside)
