"""A project's own keys for speech providers: kept, listed without their secrets, and what they make possible."""

import pytest

SECRET = "dg-0123456789abcdefABCD"


async def test_a_key_is_shown_by_its_end_only_and_can_be_replaced_and_forgotten(api):
    put = await api.ok("PUT", "/provider-keys/deepgram", {"api_key": SECRET})
    assert (put["provider"], put["hint"]) == ("deepgram", "…ABCD")
    replaced = await api.ok("PUT", "/provider-keys/deepgram", {"api_key": SECRET + "Z"})
    assert (replaced["hint"], replaced["created_at"]) == ("…BCDZ", put["created_at"])
    answer = await api.call("GET", "/provider-keys")
    assert [row["provider"] for row in answer.json()["data"]] == ["deepgram"]
    assert SECRET not in answer.text
    assert (await api.call("DELETE", "/provider-keys/deepgram")).status_code == 204
    assert (await api.refused("DELETE", "/provider-keys/deepgram"))[:2] == (404, "not_found")


@pytest.mark.parametrize("provider", ["whisper", "deepgramm", "DEEPGRAM"])
async def test_only_providers_on_the_network_take_a_key(api, provider):
    assert (await api.refused("PUT", f"/provider-keys/{provider}", {"api_key": SECRET}))[:2] == (404, "not_found")


@pytest.mark.parametrize("secret", ["", "a b", "line\nbreak", "schlüssel", "x" * 513])
async def test_what_can_be_no_key_is_refused(api, secret):
    status, code, error = await api.refused("PUT", "/provider-keys/deepgram", {"api_key": secret})
    assert (status, code, error["param"]) == (400, "invalid_request", "api_key")


async def test_a_short_key_is_not_half_shown(api):
    assert (await api.ok("PUT", "/provider-keys/deepgram", {"api_key": "short"}))["hint"] == "…"


async def test_a_provider_can_be_chosen_once_the_project_has_a_key_for_it_and_only_in_that_mode(api):
    auto = {"auto_transcription": {"enabled": True, "provider": "deepgram"}}
    path = f"/projects/{api.project_id}/config/processing"
    status, code, error = await api.refused("PUT", path, auto)
    assert (status, code, error["details"]) == (400, "provider_not_configured", {"configured_providers": ["whisper"]})
    await api.ok("PUT", "/provider-keys/deepgram", {"api_key": SECRET})
    assert (await api.ok("PUT", path, auto))["value"]["auto_transcription"]["provider"] == "deepgram"
    test_key = await api.new_key(api.project_id, mode="test")
    assert (await api.refused("PUT", path, auto, secret=test_key))[1] == "provider_not_configured"
    assert (await api.ok("GET", "/provider-keys", secret=test_key))["data"] == []


@pytest.mark.parametrize("said", [{"enabled": False}, {"enabled": False, "provider": "deepgram", "language": None}])
async def test_what_asks_for_a_provider_whose_key_was_forgotten_can_be_switched_off_and_not_on_again(api, said):
    path = f"/projects/{api.project_id}/config/processing"
    await api.ok("PUT", "/provider-keys/deepgram", {"api_key": SECRET})
    await api.ok("PUT", path, {"auto_transcription": {"enabled": True, "provider": "deepgram"}})
    await api.call("DELETE", "/provider-keys/deepgram")
    for _ in range(2):
        assert (await api.ok("PUT", path, {"auto_transcription": said}))["value"]["auto_transcription"]["enabled"] is False
    for unworkable in ({"enabled": True}, {"language": "de"}):
        assert (await api.refused("PUT", path, {"auto_transcription": unworkable}))[1] == "provider_not_configured"
