"""Readiness, and the app that answers for it; asked through ASGI itself."""

import asyncio

import msgspec
import pytest

from shared.telemetry.health import Health, operations_app


async def well() -> None:
    await asyncio.sleep(0)


async def broken() -> None:
    raise ConnectionError("mongodb://root:hunter2@db is away\nwith details")


async def asked(app, path: str, method: str = "GET", headers: tuple = ()) -> tuple[int, dict, bytes]:
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    await app({"type": "http", "method": method, "path": path, "headers": list(headers)}, None, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def test_a_service_whose_checks_pass_is_ready():
    assert await Health({"mongo": well, "kafka": well}).readiness() == (
        True,
        {"status": "ready", "checks": {"mongo": "ok", "kafka": "ok"}},
    )


async def test_a_failed_check_is_named_with_its_reason_and_without_credentials():
    ready, body = await Health({"mongo": broken, "kafka": well}).readiness()
    assert not ready
    assert body == {
        "status": "unavailable",
        "checks": {"mongo": "ConnectionError: mongodb://[redacted]@db is away", "kafka": "ok"},
    }


async def test_a_check_that_does_not_answer_has_failed_even_if_it_ignores_its_cancellation():
    async def deaf() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                cancelled.set()

    released, cancelled = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(5):
        ready, body = await Health({"store": deaf, "mongo": well}, timeout_s=0.01).readiness()
        await cancelled.wait()
    released.set()
    assert (ready, body["checks"]) == (False, {"store": "no answer within 0.01 s", "mongo": "ok"})


async def test_checks_run_at_once_and_are_shared_by_callers_of_the_same_moment():
    async def first() -> None:
        runs.append("first")
        await second_began.wait()

    async def second() -> None:
        second_began.set()
        runs.append("second")

    runs: list[str] = []
    second_began = asyncio.Event()
    health = Health({"first": first, "second": second})
    answers = await asyncio.gather(*(health.readiness() for _ in range(10)))
    assert all(ready for ready, _ in answers)
    assert sorted(runs) == ["first", "second"]


async def test_a_draining_service_is_not_ready_and_says_why():
    health = Health({"mongo": well})
    health.set_draining()
    assert health.draining.is_set()
    assert await health.readiness() == (False, {"status": "draining", "checks": {}})


async def test_a_service_that_begins_to_drain_while_it_is_asked_is_not_ready():
    async def check() -> None:
        health.set_draining()

    health = Health({"mongo": check})
    assert (await health.readiness())[0] is False


async def test_live_answers_200_even_when_nothing_else_works():
    status, _, body = await asked(operations_app({"mongo": broken}), "/health/live")
    assert (status, body) == (200, b'{"status":"alive"}')


async def test_ready_answers_200_or_503_with_the_checks():
    status, headers, body = await asked(operations_app({"mongo": well}), "/health/ready")
    assert (status, msgspec.json.decode(body)) == (200, {"status": "ready", "checks": {"mongo": "ok"}})
    assert headers[b"content-type"] == b"application/json"
    status, _, body = await asked(operations_app({"mongo": broken}), "/health/ready")
    assert (status, msgspec.json.decode(body)["status"]) == (503, "unavailable")


async def test_metrics_are_answered_in_the_exposition_format():
    status, headers, body = await asked(operations_app({}), "/metrics")
    assert status == 200
    assert headers[b"content-type"].startswith(b"text/plain")
    assert b"# TYPE earwitness_queue_depth gauge" in body


@pytest.mark.parametrize("given", ["req_mine", "a-b_c.d:e", "x" * 128])  # as the API takes them
async def test_any_other_path_is_404_in_the_error_envelope_with_the_callers_request_id(given):
    status, headers, body = await asked(operations_app({}), "/v1/recordings", headers=((b"x-request-id", given.encode()),))
    error = msgspec.json.decode(body)["error"]
    assert status == 404
    assert (error["code"], error["type"], error["request_id"]) == ("not_found", "not_found", given)
    assert headers[b"x-request-id"] == given.encode()


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/nowhere"])
async def test_every_answer_has_the_callers_request_id_the_first_where_there_are_two(path):
    sent = ((b"x-request-id", b"req_mine"), (b"x-request-id", b"req_other"))
    for checks in ({"mongo": well}, {"mongo": broken}):
        _, headers, _ = await asked(operations_app(checks), path, headers=sent)
        assert headers[b"x-request-id"] == b"req_mine"


async def test_a_request_id_that_is_not_one_is_replaced():
    _, headers, _ = await asked(operations_app({}), "/nowhere", headers=((b"x-request-id", b"a b\r\n"),))
    assert headers[b"x-request-id"].startswith(b"req_")


async def test_other_methods_are_405_in_the_error_envelope():
    status, _, body = await asked(operations_app({}), "/health/live", method="POST")
    assert (status, msgspec.json.decode(body)["error"]["code"]) == (405, "method_not_allowed")


async def test_the_app_plays_the_lifespan_protocol():
    sent = []

    async def receive() -> dict:
        return {"type": "lifespan.startup"}

    async def send(message: dict) -> None:
        sent.append(message["type"])

    await operations_app({})({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
