"""Every query that the API makes while all of its operations are asked: each by an index, none sorted in memory."""

import pytest

from shared.storage.mongo import Mongo
from shared.storage.transcripts import Transcripts
from shared.storage.webhook_deliveries import WebhookDeliveries
from tests.conformance import operations
from tests.tenant_matrix import check_crossed, check_filters, check_owner
from tests.tenants import World

FOLLOWED = "live_follow"  # a stream, which has no end; what it asks is asked in `storage/test_queries`
BYTES = 256 * 1024 * 1024
ASKED = {"op": {"$in": ["query", "command", "update", "remove"]}, "planSummary": {"$exists": True}}
LOOKED_INTO = {"recordings", "transcriptions", "devices", "device_commands", "end_users", "webhook_endpoints"}
LOOKED_INTO |= {"api_keys", "organizations", "projects", "config_overrides", "config_audit", "provider_keys"}
LOOKED_INTO |= {"webhook_deliveries", "upload_tokens"}


@pytest.fixture
async def profile(mongo_settings):
    """What the server writes down of the queries of a database, and nothing of it is lost."""
    mongo = Mongo(mongo_settings)
    for collection in (Transcripts(mongo), WebhookDeliveries(mongo)):  # whose indexes other services make
        await collection.ensure_indexes()
    await mongo.database.create_collection("system.profile", capped=True, size=BYTES)
    await mongo.database.command("profile", 2)
    yield mongo.database["system.profile"]
    mongo.close()


async def test_no_operation_scans_a_collection_or_sorts_in_memory(profile, deployment):
    async with deployment.replica(webhooks_test_wait_s=0) as api:
        world = await (await World(api).open()).furnish()
        for operation in operations():
            await check_filters(world, operation)
            await check_crossed(world, operation)
        for operation in operations():
            if operation[2]["operationId"] != FOLLOWED:
                await check_owner(world, operation)
    entries = [entry async for entry in profile.find(ASKED) if not entry["ns"].endswith("system.profile")]
    assert {entry["ns"].partition(".")[2] for entry in entries} >= LOOKED_INTO
    scans = [entry["command"] for entry in entries if "COLLSCAN" in entry["planSummary"] or entry.get("hasSortStage")]
    assert scans == []
