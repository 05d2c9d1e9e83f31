"""`python -m services.ingest.reseal`: the last step but one of changing the sealing key."""

from shared.domain.transcription import ProviderName
from shared.storage.mongo import Mongo
from shared.storage.provider_keys import ProviderKeys
from shared.storage.webhook_endpoints import WebhookEndpoints
from tests.fakes.sealing import OTHER_SEALING_KEY, SEALING_KEY, a_sealing
from tests.fakes.webhook_facts import TENANT, an_endpoint
from tests.integration.ingest.test_ingest_process import start

SEALED = a_sealing().seal("another's", "elsewhere").rpartition(":")[0] + ":"


async def reseal(mongo_settings, *keys):
    """Run it with these keys; its status and what it printed."""
    database = {"mongo_url": mongo_settings.mongo_url, "mongo_database": mongo_settings.mongo_database}
    process = await start("services.ingest.reseal", **database, sealing_keys=",".join(keys))
    out, err = await process.communicate()
    return process.returncode, out.decode() + err.decode()


async def test_what_was_sealed_under_the_old_key_opens_under_the_new_one_alone(mongo_settings):
    mongo = Mongo(mongo_settings)
    endpoints, keys = WebhookEndpoints(mongo, a_sealing()), ProviderKeys(mongo, a_sealing())
    for collection in (endpoints, keys):
        await collection.ensure_indexes()
    made = [an_endpoint("https://a.example/") for _ in range(3)]
    for endpoint in made:
        await endpoints.add(endpoint)
    await endpoints.remove(TENANT, made[2].id)
    await keys.put(TENANT, ProviderName.DEEPGRAM, "a provider's key")
    assert await reseal(mongo_settings, OTHER_SEALING_KEY, SEALING_KEY) == (0, "sealed anew: 3 documents\n")
    assert await reseal(mongo_settings, OTHER_SEALING_KEY, SEALING_KEY) == (0, "sealed anew: 0 documents\n")
    new = a_sealing(OTHER_SEALING_KEY)
    for endpoint in made[:2]:
        assert (await WebhookEndpoints(mongo, new).get(TENANT, endpoint.id)).secrets == endpoint.secrets
    assert await ProviderKeys(mongo, new).secret(TENANT, ProviderName.DEEPGRAM) == "a provider's key"
    status, said = await reseal(mongo_settings, SEALING_KEY)
    assert (status, "not among EARWITNESS_SEALING_KEYS" in said) == (75, True)
    mongo.close()


async def test_what_does_not_open_is_named_and_keeps_nothing_else_back(mongo_settings):
    mongo = Mongo(mongo_settings)
    endpoints, keys = WebhookEndpoints(mongo, a_sealing()), ProviderKeys(mongo, a_sealing())
    made = [an_endpoint("https://a.example/") for _ in range(4)]
    for endpoint in made:
        await endpoints.add(endpoint)
    await keys.put(TENANT, ProviderName.DEEPGRAM, "a provider's key")
    for endpoint, spoiled in zip(made, ("whsec_in_clear", "sealed1:damaged", f"{SEALED}AAAA"), strict=False):
        spoiling = {"$set": {"secrets.0.value": spoiled}}
        await mongo.database["webhook_endpoints"].update_one({"_id": endpoint.id}, spoiling)
    status, said = await reseal(mongo_settings, OTHER_SEALING_KEY, SEALING_KEY)
    assert (status, said.splitlines()[0]) == (75, "sealed anew: 2 documents")
    assert [endpoint.id in said for endpoint in made] == [True, True, True, False]
    assert "whsec_in_clear" not in said
    assert await ProviderKeys(mongo, a_sealing(OTHER_SEALING_KEY)).secret(TENANT, ProviderName.DEEPGRAM) == "a provider's key"
    await endpoints.remove(TENANT, made[1].id)
    status, said = await reseal(mongo_settings, OTHER_SEALING_KEY, SEALING_KEY)
    assert (status, said.count("not sealed anew")) == (65, 2)
    mongo.close()


async def test_a_row_that_cannot_be_read_is_named_and_keeps_nothing_else_back(mongo_settings):
    mongo = Mongo(mongo_settings)
    endpoints = WebhookEndpoints(mongo, a_sealing())
    newer, *others = sorted((an_endpoint("https://a.example/") for _ in range(3)), key=lambda endpoint: endpoint.id)
    for endpoint in (newer, *others):
        await endpoints.add(endpoint)
    await mongo.database["webhook_endpoints"].update_one({"_id": newer.id}, {"$set": {"status": "resting"}})
    status, said = await reseal(mongo_settings, OTHER_SEALING_KEY, SEALING_KEY)
    assert (status, said.splitlines()[0]) == (65, "sealed anew: 2 documents")
    assert said.splitlines()[1].startswith(f"not sealed anew: webhook_endpoints/{newer.id} cannot be read: ")
    mongo.close()


async def test_without_keys_it_says_so(mongo_settings):
    process = await start("services.ingest.reseal", mongo_url=mongo_settings.mongo_url)
    _, err = await process.communicate()
    assert (process.returncode, b"EARWITNESS_SEALING_KEYS is missing" in err) == (78, True)
