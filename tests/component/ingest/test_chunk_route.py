"""The short way of a chunk's PUT and the framework's give the same answers, headers, measures and log lines."""

import pytest

from shared.telemetry.logs import captured_lines
from tests.fakes.counts import counted

_OWN = {"x-request-id", "content-length", "x-ratelimit-reset"}  # ids differ in length, and so do bodies; time goes on


async def finalized(api):
    recording = await api.streamed(1)
    await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 1, "final_duration_ms": 1})
    return recording


async def opened(api):
    return await api.recording(streaming=True)


async def pieces():
    yield b"of unknown length"


def as_it_is(url):
    return url


def forged(url):
    return url[:-1] + ("0" if url[-1] != "0" else "1")


def numbered(text):
    return lambda url: url.replace("/chunks/1?", f"/chunks/{text}?")


CASES = {
    "stored": (opened, as_it_is, b"a chunk"),
    "large": (opened, as_it_is, bytes(600_000)),
    "empty": (opened, as_it_is, b""),
    "too large": (opened, as_it_is, bytes(1_000_001)),
    "of unknown length": (opened, as_it_is, None),
    "finalized": (finalized, as_it_is, b"late"),
    "forged": (opened, forged, b"x"),
    "number zero": (opened, numbered("0"), b"x"),
    "a leading zero": (opened, numbered("01"), b"x"),
    "another recording": (opened, lambda url: url.replace("/rec_", "/rec_0"), b"x"),
    "other mode": (opened, lambda url: url.replace("mode=live", "mode=test"), b"x"),
}


async def asked(api, url, content):
    """PUT, and return the answer and the log line without what is each request's own, and how it was counted."""
    route = "/v1/recordings/{recording_id}/chunks/{chunk_number}"
    with captured_lines() as lines:
        answer = await api.client.put(url, content=pieces() if content is None else content)
    counts = counted("http_requests_total", method="PUT", route=route, status=str(answer.status_code))
    body = answer.json()
    body.get("error", {}).pop("request_id", None)
    (line,) = (line for line in lines if line["event"] == "request.done")
    for name in ("duration_ms", "request_id"):
        line.pop(name, None)
    headers = {name: value for name, value in answer.headers.items() if name not in _OWN}
    return (answer.status_code, body, headers, line), counts


@pytest.mark.parametrize("case", CASES)
async def test_both_ways_answer_alike(api, case):
    prepare, spoil, content = CASES[case]
    recording = await prepare(api)
    url = spoil(recording["chunk_upload_url_template"].format(chunk_number=1))
    short, before = await asked(api, url, content)
    general, after = await asked(api, f"{url}&way=general", content)
    assert short == general
    assert after == before + 1


async def test_a_store_that_is_away_is_told_alike(api):
    recording = await opened(api)
    url = recording["chunk_upload_url_template"].format(chunk_number=1)
    api.stores.objects.down = True
    short, _ = await asked(api, url, b"x")
    general, _ = await asked(api, f"{url}&way=general", b"x")
    assert short[0] == 503
    assert "retry-after" in short[2]
    assert {name: value for name, value in short[3].items() if name != "stack"} == {
        name: value for name, value in general[3].items() if name != "stack"
    }
    assert short[:3] == general[:3]
