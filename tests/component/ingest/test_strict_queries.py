"""Query parameters stand once each and hold a value; `null` is none (contract A4, A16)."""

import pytest


@pytest.mark.parametrize("query", ["limit=1&limit=2", "offset=null", "status=null", "status=None", "offset=0&offset=0"])
async def test_a_parameter_given_twice_or_as_null_is_refused_by_name(api, query):
    status, code, error = await api.refused("GET", f"/recordings?{query}")
    assert (status, code, error["param"]) == (400, "invalid_request", query.partition("=")[0])


async def test_a_filter_of_any_text_may_be_the_text_null(api):
    assert (await api.ok("GET", "/recordings?end_user_id=null"))["data"] == []


async def test_unknown_parameters_are_passed_over(api):
    assert (await api.call("GET", "/recordings?x=1&x=2&y=null")).status_code == 200


@pytest.mark.parametrize("path", ["/recordings", "/recordings?way=general", "/transcriptions"])
async def test_a_word_that_is_not_known_is_refused_with_those_that_are(api, path):
    status, code, error = await api.refused("GET", f"{path}{'&' if '?' in path else '?'}status=gone")
    assert (status, code, error["param"]) == (400, "invalid_request", "status")
    assert "it is one of pending, " in error["message"]
