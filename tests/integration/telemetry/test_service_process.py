"""A service as a real process: how it starts, drains, fails and ends, seen from outside."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.servers.ports import free_port

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("tiny_service.py")
DEADLINE_S = 60


class Tiny:
    """One running tiny service and what is known about it from outside."""

    def __init__(self, process: asyncio.subprocess.Process, journal: Path) -> None:
        self.process = process
        self.journal = journal
        self.lines: list[dict] = []

    async def line(self, event: str) -> dict:
        """Read the log up to `event`."""
        while True:
            raw = await asyncio.wait_for(self.process.stdout.readline(), DEADLINE_S)
            assert raw, f"ended without {event}: {self.lines}"
            self.lines.append(msgspec.json.decode(raw))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]

    async def url(self) -> str:
        return f"http://127.0.0.1:{(await self.line('service.started'))['port']}"

    async def did(self, step: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not (self.journal / step).exists():  # another process sets it
                await asyncio.sleep(0.01)

    def release(self) -> None:
        (self.journal / "release").touch()

    async def ended(self) -> tuple[int, list[str], str]:
        """Return the exit status, the events logged and what stood on stderr."""
        out, err = await asyncio.wait_for(self.process.communicate(), DEADLINE_S)
        self.lines += [msgspec.json.decode(raw) for raw in out.splitlines()]
        return self.process.returncode, [line["event"] for line in self.lines], err.decode()


@pytest.fixture
async def run(tmp_path) -> AsyncIterator:
    processes = []

    async def start(
        fault: str = "", arguments: tuple[str, ...] = (), stdout: int = asyncio.subprocess.PIPE, **environ: str
    ) -> Tiny:
        settings = {
            "EARWITNESS_HTTP_HOST": "127.0.0.1",
            "EARWITNESS_HTTP_PORT": "0",
            "EARWITNESS_TINY_JOURNAL": str(tmp_path),
            "EARWITNESS_TINY_FAULT": fault,
            "EARWITNESS_SHUTDOWN_GRACE_S": "10",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            *arguments,
            env={"PYTHONPATH": str(ROOT), **settings, **environ},
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
        )
        processes.append(process)
        return Tiny(process, tmp_path)

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_sigterm_lets_the_running_request_finish_closes_the_port_and_exits_0(run, http):
    tiny = await run()
    url = await tiny.url()
    slow = asyncio.create_task(http.get(f"{url}/slow"))
    await tiny.did("request")
    tiny.process.send_signal(signal.SIGTERM)
    await tiny.line("service.draining")
    await refuses_connections(url)
    tiny.release()
    answer = await slow
    assert (answer.status, await answer.read()) == (200, b"done")
    status, events, err = await tiny.ended()
    assert (status, err) == (0, "")
    assert events == ["service.started", "service.draining", "service.stopped"]
    await tiny.did("draining-True")
    await tiny.did("stopped")


async def refuses_connections(url: str) -> None:
    while True:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/health/live"):
                await asyncio.sleep(0.01)
        except aiohttp.ClientConnectorError:
            return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_service_stops_at_once_with_status_0(run, number):
    tiny = await run()
    await tiny.url()
    tiny.process.send_signal(number)
    status, _, err = await tiny.ended()
    assert (status, err) == (0, "")


async def test_an_idle_connection_does_not_hold_the_drain(run, http):
    tiny = await run()
    url = await tiny.url()
    async with http.get(f"{url}/health/live"):
        pass
    _, silent = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    tiny.process.send_signal(signal.SIGTERM)
    assert (await tiny.ended())[0] == 0
    silent.close()


async def test_a_signal_while_starting_stops_without_having_served(run):
    tiny = await run("slow-start")
    await tiny.did("start")
    tiny.process.send_signal(signal.SIGTERM)
    status, events, _ = await tiny.ended()
    assert (status, events) == (0, ["service.draining", "service.stopped"])
    await tiny.did("stopped")


async def test_a_signal_while_being_built_ends_the_process_with_status_0(run):
    tiny = await run("slow-build")
    await tiny.did("build")
    tiny.process.send_signal(signal.SIGTERM)
    assert await tiny.ended() == (0, [], "")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_second_signal_ends_the_process_at_once(run, number, status):
    tiny = await run("slow-stop")
    await tiny.url()
    tiny.process.send_signal(signal.SIGTERM)
    await tiny.did("stop")
    tiny.process.send_signal(number)
    assert (await tiny.ended())[0] == status


async def test_a_stop_that_exceeds_the_grace_time_is_logged_and_exits_1(run):
    tiny = await run("slow-stop", EARWITNESS_SHUTDOWN_GRACE_S="0.5")
    await tiny.url()
    tiny.process.send_signal(signal.SIGTERM)
    status, events, _ = await tiny.ended()
    assert status == 1
    assert "service.grace_exceeded" in events


async def test_a_request_that_exceeds_the_grace_time_is_cut_the_service_still_stops_and_exits_1(run, http):
    tiny = await run(EARWITNESS_SHUTDOWN_GRACE_S="1")
    slow = asyncio.create_task(http.get(f"{await tiny.url()}/slow"))
    await tiny.did("request")
    tiny.process.send_signal(signal.SIGTERM)
    status, events, _ = await tiny.ended()
    assert status == 1
    assert "service.requests_cut" in events
    await tiny.did("stopped")
    await asyncio.wait({slow})


@pytest.mark.parametrize("fault", ["blocked-stop", "stuck-thread"])
async def test_a_process_that_cannot_end_is_ended_and_shows_where_it_hangs(run, fault):
    tiny = await run(fault, EARWITNESS_SHUTDOWN_GRACE_S="0.5")
    await tiny.url()
    tiny.process.send_signal(signal.SIGTERM)
    status, _, err = await tiny.ended()
    assert status == 1
    assert "tiny_service.py" in err or "threading.py" in err


async def test_a_failed_background_task_stops_the_service_with_status_1(run):
    tiny = await run("background")
    await tiny.url()
    tiny.release()
    status, events, _ = await tiny.ended()
    assert (status, events) == (1, ["service.started", "service.failed", "service.draining", "service.stopped"])
    assert tiny.lines[1]["error_message"] == "the broker is gone"
    await tiny.did("stopped")


@pytest.mark.parametrize(("fault", "message"), [("start", "nothing to connect to"), ("build", "cannot be built")])
async def test_a_service_that_cannot_start_says_why_and_exits_1(run, fault, message):
    status, events, _ = await (tiny := await run(fault)).ended()
    assert (status, events[0]) == (1, "service.failed")
    assert tiny.lines[0]["error_message"] == message


async def test_a_service_that_cannot_stop_says_why_and_exits_1(run):
    tiny = await run("stop")
    await tiny.url()
    tiny.process.send_signal(signal.SIGTERM)
    status, events, _ = await tiny.ended()
    assert status == 1
    assert "service.stop_failed" in events


async def test_a_taken_port_is_a_failure_before_anything_starts(run):
    first = await run()
    port = (await first.url()).rpartition(":")[2]
    second = await run(EARWITNESS_HTTP_PORT=port)
    status, events, _ = await second.ended()
    assert (status, events[0], second.lines[0]["error"]) == (1, "service.failed", "OSError")


async def test_missing_settings_are_listed_on_stderr_and_the_status_is_78(run):
    tiny = await run(EARWITNESS_HTTP_HOST="", EARWITNESS_HTTP_PORT="many")
    status, events, err = await tiny.ended()
    assert (status, events) == (78, [])
    assert err == (
        "the settings are not complete:\n"
        "  EARWITNESS_HTTP_HOST is missing: expected a text\n"
        "  EARWITNESS_HTTP_PORT is malformed: expected an integer >= 0 <= 65535\n"
    )


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("--port=80", 2)])
async def test_a_command_line_starts_nothing_and_tells_where_the_settings_are(run, argument, status):
    tiny = await run(arguments=(argument,))
    out, err = await asyncio.wait_for(tiny.process.communicate(), DEADLINE_S)
    assert tiny.process.returncode == status
    assert (b"docs/operations.md" in out) is (status == 0)
    assert (b"--port=80" in err) is (status != 0)


async def test_health_metrics_and_errors_are_served(run, http):
    url = await (await run()).url()
    async with http.get(f"{url}/health/live") as live, http.get(f"{url}/health/ready") as ready:
        assert (live.status, await ready.json()) == (200, {"status": "ready", "checks": {}})
        assert "server" not in live.headers
    async with http.get(f"{url}/metrics") as scraped:
        families = {family.name for family in text_string_to_metric_families(await scraped.text())}
    assert {"earwitness_http_requests", "earwitness_queue_depth", "process_resident_memory_bytes"} <= families
    async with http.get(f"{url}/nowhere", headers={"X-Request-Id": "req_mine"}) as missing:
        assert (missing.status, (await missing.json())["error"]["request_id"]) == (404, "req_mine")


async def test_a_service_whose_lines_nobody_takes_serves_and_stops_with_status_0(run, http):
    full = os.open("/dev/full", os.O_WRONLY)
    tiny = await run(stdout=full, EARWITNESS_HTTP_PORT=str(port := free_port()))
    os.close(full)
    await tiny.did("start")
    await accepts_connections(port)
    slow = asyncio.create_task(http.get(f"http://127.0.0.1:{port}/slow"))
    await tiny.did("request")
    tiny.process.send_signal(signal.SIGTERM)
    tiny.release()
    assert await (await slow).read() == b"done"
    _, err = await asyncio.wait_for(tiny.process.communicate(), DEADLINE_S)
    assert (tiny.process.returncode, err) == (0, b"")


async def accepts_connections(port: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with suppress(ConnectionRefusedError):
                _, connection = await asyncio.open_connection("127.0.0.1", port)
                connection.close()
                return
            await asyncio.sleep(0.01)


async def test_every_line_on_stdout_is_json_with_time_level_event_and_service(run):
    tiny = await run(EARWITNESS_LOG_LEVEL="DEBUG")
    await tiny.url()
    tiny.process.send_signal(signal.SIGTERM)
    await tiny.ended()
    assert all({"time", "level", "event", "service"} <= line.keys() for line in tiny.lines)
    assert len(tiny.lines) > 3
