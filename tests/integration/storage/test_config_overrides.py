"""Configuration in MongoDB: one suite over the fake and the real collections; then what the transcriber makes of it."""

import asyncio
import secrets
from datetime import timedelta
from types import SimpleNamespace

import pytest

from shared.domain.clock import now
from shared.domain.config.levels import ConfigLevel, ConfigSubject, lineage
from shared.domain.config.overrides import silent
from shared.domain.config.sections import SECTIONS
from shared.domain.ids import new_id
from shared.domain.project import Project
from shared.domain.tenant import Mode, Tenant
from shared.domain.transition import VersionConflict
from shared.settings import MongoSettings
from shared.storage.config_overrides import ConfigOverrides
from shared.storage.effective_configs import EffectiveConfigs
from shared.storage.mongo import Mongo
from shared.storage.projects import Projects
from tests.fakes.configs import BY, FakeConfigs, say
from tests.integration.storage.test_queries import asked_by, assert_indexed

TENANT = Tenant("proj_1")
PROJECT = ConfigSubject(ConfigLevel.PROJECT, "proj_1", TENANT)


@pytest.fixture(params=["fake", "mongo"])
async def configs(request, mongo):
    if request.param == "fake":
        return FakeConfigs()
    configs = ConfigOverrides(mongo)
    await asyncio.gather(*(configs.ensure_indexes() for _ in range(3)))  # as replicas that start together
    return configs


async def test_what_subjects_say_is_read_back_in_one_go(configs):
    subjects = lineage("org_1", TENANT, end_user_id="eu_1", device_id="dev_1")
    for number, subject in enumerate(subjects):
        await say(configs, subject, "upload", {"daily_data_limit_mb": number})
    await say(configs, PROJECT, "processing", {})
    found = await configs.of(subjects, ("upload", "connection"))
    assert {item.level: item.value["daily_data_limit_mb"] for item in found} == {
        subject.level: number for number, subject in enumerate(subjects)
    }
    assert await configs.of(lineage("org_2", Tenant("proj_1", Mode.TEST), end_user_id="eu_1"), ("upload",)) == []


async def test_a_change_that_was_overtaken_is_refused(configs):
    unsaid = silent(PROJECT, "upload")
    first, _ = await say(configs, PROJECT, "upload", {"allow_roaming": True})
    await say(configs, PROJECT, "upload", None)
    for stale in (unsaid, first):
        with pytest.raises(VersionConflict):
            await configs.save(stale, *stale.changed({"allow_roaming": False}, BY))
    (override,) = await configs.of((PROJECT,), ("upload",))
    assert (override.value, override.version) == (None, 2)
    assert len(await configs.history(PROJECT, "upload", 10)) == 2


async def test_of_changes_at_once_one_is_saved(configs):
    before = silent(PROJECT, "upload")
    tried = [before.changed({"streaming_chunk_kb": 64 + number}, BY) for number in range(8)]
    answers = await asyncio.gather(*(configs.save(before, *pair) for pair in tried), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["NoneType"] + ["VersionConflict"] * 7
    (override,) = await configs.of((PROJECT,), ("upload",))
    (change,) = await configs.history(PROJECT, "upload", 10)
    assert (change.after, change.version) == (override.value, 1)


async def test_every_change_is_in_the_history_newest_first_whether_it_was_filed_or_not(configs):
    changes = []
    for number in range(6):
        override, change = await say(configs, PROJECT, "upload", {"streaming_chunk_kb": 64 + number})
        changes.insert(0, change)
        if number == 2:
            await asyncio.gather(*(configs.file(override.id) for _ in range(3)))
    assert await configs.history(PROJECT, "upload", 10) == changes
    assert await configs.history(PROJECT, "upload", 2, offset=1) == changes[1:3]
    assert await configs.history(PROJECT, "upload", 10, before=changes[3].id) == changes[4:]
    assert await configs.history(PROJECT, "connection", 10) == []
    assert await configs.history(ConfigSubject(ConfigLevel.PROJECT, "proj_1", Tenant("proj_1", Mode.TEST)), "upload", 10) == []


async def test_a_change_and_its_record_are_one_document_until_it_is_filed(mongo):
    configs = ConfigOverrides(mongo)
    override, change = await say(configs, PROJECT, "upload", {"allow_roaming": True})
    stored = await mongo.database["config_overrides"].find_one({"_id": override.id})
    assert [record["_id"] for record in stored["unfiled"]] == [change.id]
    assert await mongo.database["config_audit"].count_documents({}) == 0
    await configs.file(override.id)
    assert (await mongo.database["config_overrides"].find_one({"_id": override.id}))["unfiled"] == []
    assert await mongo.database["config_audit"].count_documents({}) == 1


async def test_a_change_filed_before_a_crash_is_not_filed_twice(mongo):
    configs = ConfigOverrides(mongo)
    override, change = await say(configs, PROJECT, "upload", {"allow_roaming": True})
    unfiled = (await mongo.database["config_overrides"].find_one({"_id": override.id}))["unfiled"]
    await configs.file(override.id)
    await mongo.database["config_overrides"].update_one({"_id": override.id}, {"$set": {"unfiled": unfiled}})
    assert await configs.history(PROJECT, "upload", 10) == [change]


async def test_the_general_is_heard_before_the_specific(mongo):
    configs, effective, at = ConfigOverrides(mongo), EffectiveConfigs(mongo), now()
    tenant = Tenant(new_id("proj"))
    await Projects(mongo).add(Project(id=tenant.project_id, organization_id="org_1", name="Field", created_at=at))
    languages = {}
    for subject in lineage("org_1", tenant, end_user_id="eu_1", device_id="dev_1"):
        assert (await effective.processing(tenant, end_user_id="eu_1", device_id="dev_1")).auto_transcription.language == (
            languages.get("last")
        )
        languages["last"] = {"organization": "en", "project": "de", "end_user": "fr", "device": "it"}[subject.level]
        await say(configs, subject, "processing", {"auto_transcription": {"language": languages["last"]}})
    heard = {
        (): "de",
        (("end_user_id", "eu_1"),): "fr",
        (("end_user_id", "eu_2"),): "de",
        (("end_user_id", "eu_2"), ("device_id", "dev_1")): "it",
        (("end_user_id", "eu_1"), ("device_id", "dev_2")): "fr",
    }
    for owners, language in heard.items():
        assert (await effective.processing(tenant, **dict(owners))).auto_transcription.language == language
    other_mode = await effective.processing(Tenant(tenant.project_id, Mode.TEST), end_user_id="eu_1")
    assert other_mode.auto_transcription.language == "en"
    assert (await effective.processing(Tenant("proj_none"))).auto_transcription.language is None


async def test_times_of_changes_ascend_though_the_clock_of_a_replica_lags(configs):
    override, _ = await say(configs, PROJECT, "upload", {"allow_roaming": True})
    ahead = type(override)(
        **{name: getattr(override, name) for name in override.__struct_fields__} | {"updated_at": now() + timedelta(hours=1)}
    )
    after, change = ahead.changed({"allow_roaming": False}, BY)
    assert change.changed_at > ahead.updated_at
    await configs.save(override, after, change)
    assert (await configs.history(PROJECT, "upload", 10))[0] == change


HERE = lineage("org_1", TENANT, end_user_id="eu_1", device_id="dev_1")
QUERIES = {
    "one section at every level": lambda configs: configs.of(HERE, ("upload",)),
    "every section at every level": lambda configs: configs.of(HERE, SECTIONS),
    "a page of the history": lambda configs: configs.history(PROJECT, "upload", 26),
    "a later page of the history": lambda configs: configs.history(PROJECT, "upload", 26, before="cfg_5"),
    "all that a subject said": lambda configs: configs.erase(ConfigSubject(ConfigLevel.END_USER, "eu_9", TENANT), SECTIONS),
    "what is not yet filed": lambda configs: configs.file(PROJECT.key("upload")),
}


async def test_erased_nothing_is_left_of_what_a_subject_said_nor_of_the_records_of_it(configs):
    ours, other = [ConfigSubject(ConfigLevel.END_USER, name, TENANT) for name in ("eu_1", "eu_2")]
    for subject in (ours, other):
        await say(configs, subject, "upload", {"streaming_chunk_kb": 64})
        await configs.file(subject.key("upload"))
        await say(configs, subject, "connection", {})
    for _ in range(2):
        await configs.erase(ours, SECTIONS)
    for subject, left in ((ours, 0), (other, 1)):
        assert len(await configs.of((subject,), SECTIONS)) == 2 * left
        assert [len(await configs.history(subject, section, 9)) for section in ("upload", "connection")] == [left, left]


@pytest.fixture(scope="module")
async def asked(mongo_url):
    """Filled collections, of whose queries the server keeps a record."""
    mongo = Mongo(MongoSettings(mongo_url=mongo_url, mongo_database=f"test_{secrets.token_hex(6)}"))
    configs = ConfigOverrides(mongo)
    await configs.ensure_indexes()
    for number in range(60):
        subjects = lineage(f"org_{number}", Tenant(f"proj_{number}"), end_user_id="eu_1", device_id="dev_1")
        await asyncio.gather(*(say(configs, subject, "upload", {"streaming_chunk_kb": 64 + number}) for subject in subjects))
        await asyncio.gather(*(configs.file(subject.key("upload")) for subject in subjects))
        await say(configs, PROJECT, "upload", {"streaming_chunk_kb": 65 + number})
    await mongo.database.command("profile", 2)
    yield SimpleNamespace(mongo=mongo, configs=configs)
    await mongo.database.command("profile", 0)
    mongo.close()


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_is_answered_by_an_index_in_its_order(asked, name):
    entries = await asked_by(asked, lambda scene: QUERIES[name](scene.configs))
    assert_indexed(entries)


async def test_all_levels_are_read_in_one_query(asked):
    assert len(await asked_by(asked, lambda scene: QUERIES["every section at every level"](scene.configs))) == 1
