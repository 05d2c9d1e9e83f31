"""The sections of configuration, their defaults and limits, and what counts when every level is heard (contract 16.1, 16.3)."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.config.forms import OffPeakHours, ProcessingConfig
from shared.domain.config.levels import ConfigLevel, ConfigSubject, lineage
from shared.domain.config.overrides import Author, resolved, silent
from shared.domain.config.sections import SECTIONS
from shared.domain.languages import LANGUAGES
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcription import ProviderName

TENANT = Tenant("proj_1")
SUBJECTS = {subject.level: subject for subject in lineage("org_1", TENANT, end_user_id="eu_1", device_id="dev_1")}
BY = Author(kind="secret_key", credential_id="key_1", request_id="req_1")
EVERY_SECTION = pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)


def some_of(**fields):
    return st.fixed_dictionaries({}, optional=fields)


SWITCHES = some_of(wifi=st.booleans(), cellular=st.booleans())
TIMEOUTS = st.sampled_from((-1, 0)) | st.integers(10, 2540)
TIMES = st.times().map(lambda time: f"{time:%H:%M}")
PARTS = {
    "processing": some_of(
        auto_transcription=some_of(
            enabled=st.booleans(),
            provider=st.sampled_from(list(ProviderName)).map(str),
            language=st.none() | st.sampled_from(sorted(LANGUAGES[ProviderName.WHISPER].codes)),
        ),
        auto_summary=some_of(enabled=st.booleans(), template=st.none() | st.just("custom"), provider=st.just("gemini")),
        auto_embedding=some_of(enabled=st.booleans()),
        auto_enhancement=some_of(enabled=st.booleans(), provider=st.none() | st.just("cleanvoice")),
    ),
    "upload": some_of(
        streaming_enabled=st.booleans(),
        streaming_chunk_kb=st.integers(64, 1024),
        streaming_flush_interval_seconds=st.integers(0, 255),
        daily_data_limit_mb=st.integers(0, 10_000),
        allow_roaming=st.booleans(),
        pause_on_low_battery=st.booleans(),
        off_peak_hours=st.none() | some_of(enabled=st.booleans(), start=TIMES, end=TIMES, timezone=st.just("Europe/Zurich")),
    ),
    "connection": some_of(
        enabled_connections=SWITCHES,
        heartbeat_enabled_connections=SWITCHES,
        upload_network_preference=st.lists(st.sampled_from(("wifi", "ble", "cellular")), unique=True),
        power_management=some_of(wifi_idle_timeout_seconds=TIMEOUTS, cellular_idle_timeout_seconds=TIMEOUTS),
    ),
    "upload_security": some_of(encrypted_upload_policy=st.sampled_from(("legacy_allowed", "v2_preferred", "v2_required"))),
}


def said(section, words):
    """Return the overrides of the levels in `words`."""
    return [silent(SUBJECTS[level], section.name).changed(value, BY)[0] for level, value in words.items()]


def words_about(section):
    return st.fixed_dictionaries({}, optional=dict.fromkeys(section.levels, PARTS[section.name]))


@EVERY_SECTION
def test_the_defaults_are_complete_and_valid(section):
    assert section.complete({}) == section.defaults == resolved(section, []).value
    assert resolved(section, []).source is ConfigLevel.DEFAULT


@EVERY_SECTION
@given(data=st.data())
def test_a_part_comes_back_as_it_was_said(section, data):
    part = data.draw(PARTS[section.name])
    assert section.known(part) == part
    assert section.known(part | {"nonsense": {"$where": 1}}) == part


@EVERY_SECTION
@given(data=st.data())
def test_whatever_the_levels_say_the_result_is_valid_and_complete(section, data):
    words = data.draw(words_about(section))
    result = resolved(section, said(section, words))
    assert section.complete(result.value) == result.value
    assert set(result.value) == set(section.defaults)
    assert result.source is (max(words, key=list(ConfigLevel).index) if words else ConfigLevel.DEFAULT)


@EVERY_SECTION
@given(data=st.data())
def test_the_order_in_which_levels_are_read_does_not_matter(section, data):
    overrides = said(section, data.draw(words_about(section)))
    results = {msgspec.json.encode(resolved(section, order).value) for order in itertools.permutations(overrides)}
    assert len(results) == 1


@EVERY_SECTION
@given(data=st.data())
def test_saying_what_counts_already_changes_nothing_but_the_source(section, data):
    words = data.draw(words_about(section))
    before = resolved(section, said(section, words)).value
    assert resolved(section, said(section, words | {section.levels[-1]: before})).value == before


@given(st.lists(st.integers(0, 10_000), min_size=4, max_size=4))
def test_a_daily_limit_is_never_loosened_further_down(limits):
    section = SECTIONS["upload"]
    words = {level: {"daily_data_limit_mb": limit} for level, limit in zip(section.levels, limits, strict=True)}
    limited = [limit for limit in limits if limit]
    assert resolved(section, said(section, words)).value["daily_data_limit_mb"] == (min(limited) if limited else 0)


def test_a_security_policy_is_never_loosened_further_down():
    section = SECTIONS["upload_security"]
    strict = {ConfigLevel.PROJECT: {"encrypted_upload_policy": "v2_required"}}
    lax = {ConfigLevel.DEVICE: {"encrypted_upload_policy": "legacy_allowed"}}
    result = resolved(section, said(section, strict | lax))
    assert (result.value, result.source) == ({"encrypted_upload_policy": "v2_required"}, ConfigLevel.DEVICE)


def test_arrays_combine_item_by_item():
    section = SECTIONS["connection"]
    words = {ConfigLevel.PROJECT: {"upload_network_preference": ["cellular", "wifi", "ble"]}}
    words[ConfigLevel.DEVICE] = {"upload_network_preference": ["ble"]}
    assert resolved(section, said(section, words)).value["upload_network_preference"] == ["ble", "wifi", "ble"]


def test_hours_that_say_little_have_the_rest_by_default():
    words = {ConfigLevel.DEVICE: {"off_peak_hours": {"enabled": True}}}
    hours = resolved(SECTIONS["upload"], said(SECTIONS["upload"], words)).value["off_peak_hours"]
    assert hours == msgspec.to_builtins(OffPeakHours(enabled=True))


@pytest.mark.parametrize(
    ("section", "part", "field"),
    [
        ("upload", {"streaming_chunk_kb": 63}, "streaming_chunk_kb"),
        ("upload", {"streaming_chunk_kb": 1025}, "streaming_chunk_kb"),
        ("upload", {"streaming_flush_interval_seconds": 256}, "streaming_flush_interval_seconds"),
        ("upload", {"daily_data_limit_mb": -1}, "daily_data_limit_mb"),
        ("upload", {"daily_data_limit_mb": 10_001}, "daily_data_limit_mb"),
        ("upload", {"allow_roaming": 1}, "allow_roaming"),
        ("upload", {"off_peak_hours": {"start": "24:00"}}, "off_peak_hours.start"),
        ("upload", {"off_peak_hours": {"end": "06:00\n"}}, "off_peak_hours.end"),
        ("upload", {"off_peak_hours": {"timezone": "Europe/Zurich\n"}}, "off_peak_hours.timezone"),
        ("upload", {"off_peak_hours": {"timezone": "../../etc/passwd"}}, "off_peak_hours.timezone"),
        ("connection", {"power_management": {"wifi_idle_timeout_seconds": 5}}, "power_management"),
        ("connection", {"power_management": {"wifi_idle_timeout_seconds": -2}}, "wifi_idle_timeout_seconds"),
        ("connection", {"power_management": {"cellular_idle_timeout_seconds": 2541}}, "cellular_idle_timeout_seconds"),
        ("connection", {"enabled_connections": {"wifi": None}}, "enabled_connections.wifi"),
        ("connection", {"upload_network_preference": ["carrier pigeon"]}, "upload_network_preference"),
        ("upload_security", {"encrypted_upload_policy": "v3"}, "encrypted_upload_policy"),
        ("processing", {"auto_summary": {"provider": "parrot"}}, "auto_summary.provider"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_name(section, part, field):
    with pytest.raises(msgspec.ValidationError, match=field):
        SECTIONS[section].known(part)


def test_no_two_subjects_share_an_override():
    tenants = [Tenant("proj_1"), Tenant("proj_1", Mode.TEST), Tenant("proj_2")]
    subjects = {subject for tenant in tenants for subject in lineage("org_1", tenant, end_user_id="same", device_id="same")}
    subjects.add(ConfigSubject(ConfigLevel.END_USER, "proj_1:live:same", tenants[0]))
    keys = [subject.key(section) for subject in subjects for section in SECTIONS]
    assert len(keys) == len(set(keys)) == (1 + 3 * 3 + 1) * len(SECTIONS)


def test_the_records_of_changes_follow_each_other():
    override = silent(SUBJECTS[ConfigLevel.PROJECT], "processing")
    changes = []
    for value in ({"auto_embedding": {"enabled": True}}, None, {}):
        override, change = override.changed(value, BY)
        changes.append(change)
    assert [change.version for change in changes] == [1, 2, 3]
    assert [change.before for change in changes[1:]] == [change.after for change in changes[:-1]]
    assert sorted(changes, key=lambda change: change.id) == changes
    assert changes[0].changed_at < changes[1].changed_at < changes[2].changed_at


def test_a_project_alone_decides_where_it_has_no_organization():
    assert [subject.level for subject in lineage(None, TENANT)] == [ConfigLevel.PROJECT]
    assert ProcessingConfig() == msgspec.convert(SECTIONS["processing"].defaults, ProcessingConfig)
