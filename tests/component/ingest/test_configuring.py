"""The `processing` section of a project's configuration (contract section 16, 9.6)."""

import pytest


def path(api, section="processing"):
    return f"/projects/{api.project_id}/config/{section}"


async def test_without_an_override_the_defaults_count(api):
    shown = await api.ok("GET", path(api))
    assert shown["source"] == "default"
    assert shown["value"]["auto_transcription"] == {"enabled": False, "provider": "whisper", "language": None}
    assert shown["definition"]["merge_strategy"] == "merge_deep"


async def test_an_override_states_only_what_differs(api):
    body = {"auto_transcription": {"enabled": True, "provider": "whisper"}}
    changed = await api.ok("PUT", path(api), body)
    assert changed["source"] == "project"
    assert changed["value"]["auto_transcription"]["enabled"] is True
    assert changed["value"]["auto_summary"]["enabled"] is False
    assert await api.ok("GET", path(api)) == changed


async def test_a_second_override_leaves_the_first_in_place(api):
    await api.ok("PUT", path(api), {"auto_transcription": {"enabled": True}})
    changed = await api.ok("PUT", path(api), {"auto_transcription": {"language": "de"}, "auto_embedding": {"enabled": True}})
    assert changed["value"]["auto_transcription"] == {"enabled": True, "provider": "whisper", "language": "de"}
    assert changed["value"]["auto_embedding"] == {"enabled": True}


async def test_a_reset_brings_the_defaults_back_and_may_be_repeated(api):
    await api.ok("PUT", path(api), {"auto_transcription": {"enabled": True}})
    for _ in range(2):
        assert (await api.call("DELETE", path(api))).status_code == 204
    assert (await api.ok("GET", path(api)))["source"] == "default"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"auto_transcription": {"enabled": "yes"}}, "invalid_request", "auto_transcription.enabled"),
        ({"auto_transcription": True}, "invalid_request", "auto_transcription"),
        ({"auto_transcription": {"provider": "parrot"}}, "invalid_request", "auto_transcription.provider"),
        ({"auto_transcription": {"provider": "deepgram"}}, "provider_not_configured", "auto_transcription.provider"),
        ({"auto_transcription": {"language": "klingon"}}, "unsupported_language", "auto_transcription.language"),
        ({"auto_transcription": {"language": "en-US"}}, "invalid_request", "auto_transcription.language"),
        ({"auto_summary": {"template": "poem"}}, "invalid_request", "auto_summary.template"),
        ([], "invalid_request", None),
    ],
)
async def test_a_wrong_value_is_refused_and_changes_nothing(api, body, code, param):
    before = await api.ok("GET", path(api))
    status, found, error = await api.refused("PUT", path(api), body)
    assert (status, found, error.get("param")) == (400, code, param)
    assert await api.ok("GET", path(api)) == before


async def test_a_language_spelt_as_another_provider_does_is_refused_with_the_spelling_that_is_taken(api):
    _, _, error = await api.refused("PUT", path(api), {"auto_transcription": {"language": "en-US"}})
    assert error["message"] == "whisper spells that language en"


async def test_keys_that_the_section_does_not_have_are_passed_over(api):
    changed = await api.ok("PUT", path(api), {"auto_transcription": {"enabled": True, "$where": 1}, "nonsense": {"a": 1}})
    assert "nonsense" not in changed["value"]
    assert "$where" not in changed["value"]["auto_transcription"]


async def test_other_sections_and_other_projects_do_not_exist(api):
    assert (await api.refused("GET", path(api, "colours")))[:2] == (404, "not_found")
    assert (await api.refused("PUT", "/projects/proj_other/config/processing", {}))[:2] == (404, "not_found")


async def test_a_whole_number_may_be_written_with_a_point_as_in_any_body(api):
    changed = await api.ok("PUT", path(api, "upload"), {"streaming_chunk_kb": 128.0})
    assert repr(changed["value"]["streaming_chunk_kb"]) == "128"
    body = {"power_management": {"wifi_idle_timeout_seconds": 30.0}}
    changed = await api.ok("PUT", path(api, "connection"), body)
    assert repr(changed["value"]["power_management"]["wifi_idle_timeout_seconds"]) == "30"
    (record,) = (await api.ok("GET", f"{path(api, 'upload')}/history"))["data"]
    assert repr(record["after"]) == "{'streaming_chunk_kb': 128}"
    status, code, error = await api.refused("PUT", path(api, "upload"), {"streaming_chunk_kb": 128.5})
    assert (status, code, error["param"]) == (400, "invalid_request", "streaming_chunk_kb")


async def test_a_language_of_any_length_is_refused_in_few_words(api):
    body = {"auto_transcription": {"language": "x" * 900_000}}
    status, code, error = await api.refused("PUT", path(api), body)
    assert (status, code, len(error["message"]) < 300) == (400, "unsupported_language", True)
