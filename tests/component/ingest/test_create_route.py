"""The short way of opening a recording and the framework's give the same answers, headers, measures and log lines."""

import pytest

from shared.telemetry.logs import captured_lines
from tests.fakes.counts import counted

_OWN_HEADERS = {"x-request-id", "x-ratelimit-reset", "x-ratelimit-remaining", "content-length"}
_OWN_FIELDS = {"id", "created_at", "updated_at", "chunk_upload_url_template", "chunk_upload_expires_at"}
_OWN_OF_LINE = {"duration_ms", "request_id", "recording_id", "stack"}

CASES = {
    "for an end user": (b'{"end_user_id": "%s", "name": "Visit", "metadata": {"a": [1]}}', {}),
    "to be streamed": (b'{"end_user_id": "%s", "streaming": true, "recording_generation": 3.0}', {}),
    "for nobody": (b"{}", {}),
    "without a body": (b"", {}),
    "for a stranger": (b'{"end_user_id": "eu_01ARZ3NDEKTSV4RRFFQ69G5FAV"}', {}),
    "of a wrong type": (b'{"end_user_id": "%s", "name": 5}', {}),
    "with a key twice": (b'{"end_user_id": "%s", "end_user_id": "%s"}', {}),
    "not JSON": (b"name=Visit", {"Content-Type": "application/x-www-form-urlencoded"}),
    "too large": (b'{"name": "' + b"x" * 1_100_000 + b'"}', {}),
    "without a credential": (b"{}", {"Authorization": ""}),
    "with another scheme": (b"{}", {"Authorization": "Basic eHg6eHg="}),
    "with an unknown key": (b"{}", {"Authorization": f"Bearer sk_live_{'x' * 40}"}),
}


async def asked(api, path, body, headers):
    """POST, and return the answer and the log line without what is each request's own, and how it was counted."""
    with captured_lines() as lines:
        answer = await api.call("POST", path, body, headers=headers)
    counts = counted("http_requests_total", method="POST", route="/v1/recordings", status=str(answer.status_code))
    told = answer.json()
    (told.get("error") or {}).pop("request_id", None)
    told = {name: value for name, value in told.items() if name not in _OWN_FIELDS}
    (line,) = (line for line in lines if line["event"] == "request.done")
    line = {name: value for name, value in line.items() if name not in _OWN_OF_LINE}
    shown = {name: value for name, value in answer.headers.items() if name not in _OWN_HEADERS}
    return (answer.status_code, list(answer.json()), told, shown, line), counts


@pytest.mark.parametrize("case", CASES)
async def test_both_ways_answer_alike(api, case):
    body, headers = CASES[case]
    body = body.replace(b"%s", (await api.someone()).encode())
    short, before = await asked(api, "/recordings", body, headers)
    general, after = await asked(api, "/recordings?way=general", body, headers)
    assert short == general
    assert after == before + 1


async def test_a_store_that_is_away_is_told_alike(api):
    body = b'{"end_user_id": "%s"}' % (await api.someone()).encode()
    api.stores.recordings.down = True
    short, _ = await asked(api, "/recordings", body, {})
    general, _ = await asked(api, "/recordings?way=general", body, {})
    assert short[0] == 503
    assert "retry-after" in short[3]
    assert short == general


async def test_a_key_that_may_not_write_is_refused_alike(api):
    reader = {"Authorization": f"Bearer {await api.new_key(api.project_id, scopes=['recordings:read'])}"}
    short, _ = await asked(api, "/recordings", b"{}", reader)
    general, _ = await asked(api, "/recordings?way=general", b"{}", reader)
    assert short[0] == 403
    assert short == general
