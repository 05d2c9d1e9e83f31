"""Organizations, projects and keys in MongoDB; and that every list is answered by an index."""

import asyncio

import pytest

from shared.domain.caller import SCOPES, ApiKey, KeyKind, new_secret
from shared.domain.clock import now
from shared.domain.errors import AlreadyExists
from shared.domain.ids import new_id
from shared.domain.project import Organization, Project
from shared.domain.secret import secret_sha256
from shared.domain.tenant import Mode
from shared.storage.api_keys import ApiKeys
from shared.storage.mongo import Mongo
from shared.storage.organizations import Organizations
from shared.storage.projects import Projects
from shared.storage.recordings import Recordings
from shared.storage.webhook_endpoints import WebhookEndpoints
from tests.fakes.sealing import a_sealing
from tests.fakes.webhook_facts import an_endpoint


@pytest.fixture
async def mongo(mongo_settings):
    """An empty database with the indexes of the API's collections."""
    mongo = Mongo(mongo_settings)
    stores = (ApiKeys(mongo), Projects(mongo), Recordings(mongo), WebhookEndpoints(mongo, a_sealing()))
    await asyncio.gather(*(store.ensure_indexes() for store in stores * 3))  # as replicas that start together
    yield mongo
    mongo.close()


def a_key(project_id="proj_1", **fields):
    secret = new_secret(KeyKind.SECRET, Mode.LIVE)
    defaults = {"id": new_id("key"), "project_id": project_id, "mode": Mode.LIVE, "kind": KeyKind.SECRET, "scopes": SCOPES}
    return ApiKey(**(defaults | {"secret_sha256": secret_sha256(secret), "hint": "sk_live_…abcd", "created_at": now()} | fields))


async def test_organizations_and_projects_are_read_back_and_listed_newest_first(mongo):
    organizations, projects = Organizations(mongo), Projects(mongo)
    made = [Organization(id=new_id("org"), name=f"Org {number}", created_at=now()) for number in range(3)]
    for organization in made:
        await organizations.add(organization)
    newest = sorted(made, key=lambda item: item.id, reverse=True)
    assert await organizations.page(10) == newest
    assert await organizations.page(1, before=newest[0].id) == newest[1:2]
    assert await organizations.page(5, offset=2) == newest[2:]
    project = Project(id=new_id("proj"), organization_id=made[0].id, name="Field", created_at=now())
    await projects.add(project)
    assert await projects.get(project.id) == project
    assert await projects.page(made[0].id, 10) == await projects.page(None, 10) == [project]
    assert await projects.page(made[1].id, 10) == []
    assert (await organizations.get("org_none"), await projects.get("proj_none")) == (None, None)


async def test_a_key_is_found_by_the_hash_of_its_secret_until_it_is_revoked(mongo):
    keys, key = ApiKeys(mongo), a_key()
    await keys.add(key)
    assert await keys.by_secret(key.secret_sha256) == key
    assert await keys.by_secret(secret_sha256("sk_live_other")) is None
    first = now()
    assert (await keys.revoke("proj_1", key.id, first)).revoked_at == first
    assert await keys.by_secret(key.secret_sha256) is None
    assert (await keys.revoke("proj_1", key.id, now())).revoked_at == first
    assert await keys.revoke("proj_2", key.id, now()) is None
    assert [item.id for item in await keys.page("proj_1", 10)] == [key.id]
    assert await keys.page("proj_2", 10) == []


async def test_a_key_that_is_made_again_has_its_new_secret_alone_and_a_revoked_one_has_none(mongo):
    keys, first = ApiKeys(mongo), a_key()
    await keys.add(first)
    again = a_key(id=first.id)
    with pytest.raises(AlreadyExists):
        await keys.add(again)
    assert (await keys.reissue(again)).secret_sha256 == again.secret_sha256
    assert await keys.by_secret(first.secret_sha256) is None
    assert (await keys.by_secret(again.secret_sha256)).id == first.id
    await keys.revoke(first.project_id, first.id, now())
    assert await keys.reissue(a_key(id=first.id)) is None


async def test_an_endpoint_that_is_there_is_not_added_again(mongo):
    endpoints, endpoint = WebhookEndpoints(mongo, a_sealing()), an_endpoint("https://customer.example/hook")
    assert await endpoints.add(endpoint)
    with pytest.raises(AlreadyExists):
        await endpoints.add(endpoint)


async def test_two_keys_never_share_a_secret(mongo):
    keys, key = ApiKeys(mongo), a_key()
    await keys.add(key)
    with pytest.raises(AlreadyExists):
        await keys.add(a_key(secret_sha256=key.secret_sha256))


async def test_the_time_of_last_use_only_goes_forward(mongo):
    keys, key = ApiKeys(mongo), a_key()
    await keys.add(key)
    earlier, later = now(), now()
    await keys.touch(key.id, later)
    await keys.touch(key.id, earlier)
    assert (await keys.by_secret(key.secret_sha256)).last_used_at == later


TENANT = {"project_id": "proj_1", "mode": "live"}
QUERIES = [
    ("api_keys", {"secret_sha256": "x", "revoked_at": None}, None),
    ("api_keys", {"project_id": "proj_1"}, {"_id": -1}),
    ("projects", {"organization_id": "org_1"}, {"_id": -1}),
    ("projects", {}, {"_id": -1}),
    ("organizations", {}, {"_id": -1}),
    ("recordings", {**TENANT, "deleted_at": None}, {"_id": -1}),
    ("recordings", {**TENANT, "deleted_at": None, "_id": {"$lt": "rec_5"}}, {"_id": -1}),
    ("recordings", {**TENANT, "deleted_at": None, "status": "uploaded"}, {"_id": -1}),
    ("recordings", {**TENANT, "deleted_at": None, "device_id": "dev_1"}, {"_id": -1}),
    ("recordings", {**TENANT, "deleted_at": None, "end_user_id": "eu_1"}, {"_id": -1}),
    ("recordings", {**TENANT, "deleted_at": None, "end_user_id": "eu_1", "status": "failed"}, {"_id": -1}),
    ("webhook_endpoints", {**TENANT, "deleted_at": None}, {"_id": -1}),
]


def stages(plan):
    yield plan["stage"]
    for inner in (plan.get("inputStage"), *plan.get("inputStages", ())):
        if inner:
            yield from stages(inner)


@pytest.mark.parametrize(("collection", "where", "sort"), QUERIES)
async def test_every_list_and_lookup_is_answered_by_an_index(mongo, collection, where, sort):
    rows = [{"_id": f"rec_{number}", "project_id": f"proj_{number % 3}", "mode": "live"} for number in range(30)]
    await mongo.database[collection].insert_many([{**row, "secret_sha256": row["_id"]} for row in rows])
    find = {"find": collection, "filter": where, **({"sort": sort} if sort else {}), "limit": 26}
    explained = await mongo.database.command({"explain": find, "verbosity": "queryPlanner"})
    assert not {"COLLSCAN", "SORT"} & set(stages(explained["queryPlanner"]["winningPlan"]))
