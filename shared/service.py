"""Runs one service as a process: settings, logs, start, HTTP, signals, drain, exit status.

Every `__main__` is `sys.exit(run_service(build))`. Exit statuses: 0 after a drain, 1 after a failure or when the grace time was
exceeded, 2 for a wrong command line, 78 for wrong settings, 130 and 143 when a second signal cut the drain short.
"""

import argparse
import asyncio
import inspect
import time
import typing
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import uvloop

from shared.garbage import settle
from shared.http_server import HttpServer
from shared.settings import HttpSettings, RuntimeSettings, SettingsError, exit_on_settings_error, load
from shared.stop_signals import StopSignals
from shared.telemetry.health import ASGIApp, Health
from shared.telemetry.logs import configure_logging, flush_lines, get_logger

log = get_logger()

STOP_SHARE = 0.3  # of the grace time is kept for `stop` when requests take long …
STOP_SHARE_MOST_S = 5.0  # … but no more than this


class Service(Protocol):
    """What is run: `start` opens, `stop` drains and closes; `stop` is called once, whatever became of `start`.

    Optional: `health: Health`, set draining at the first signal (else the app's own `health`), and `failed: Future`, done when
    something in the background broke for good: the service then drains and exits with status 1.
    """

    @property
    def name(self) -> str:
        """The service's name in logs."""

    @property
    def app(self) -> ASGIApp:
        """What HTTP serves; there before `start`."""

    async def start(self) -> None:
        """Connect and begin to work; an error stops the process."""

    async def stop(self) -> None:
        """Finish or hand back what runs, then close; cancelled when the grace time is over."""


class ServiceSettings(Protocol):
    """The concerns that the runner itself reads."""

    @property
    def http(self) -> HttpSettings:
        """Where to listen."""

    @property
    def runtime(self) -> RuntimeSettings:
        """How to log and how long to drain."""


S = TypeVar("S", bound=ServiceSettings)
R = TypeVar("R")
Build = Callable[[S], Service | Awaitable[Service]]


def run_service(build: Build[S], settings: type[S] | None = None) -> int:
    """Load the settings that `build` takes (or those named), build the service, run it to its end; return the exit status.

    A command line is for `--help` only: with anything else on it the process ends with status 2. With settings that `load` or
    `build` refuses it ends with 78.
    """
    _command_line(build).parse_args()
    try:
        loaded = load(settings or _settings_of(build))
        configure_logging(_package_of(build), loaded.runtime.log_level)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(build, loaded))
    except SettingsError as error:
        exit_on_settings_error(error)


async def serve(service: Service, settings: ServiceSettings, stopping: asyncio.Event) -> int:
    """Run `service` until `stopping` is set or something fails, drain it within the grace time, return the exit status."""
    began = time.perf_counter()
    status = 0
    server: HttpServer | None = None
    try:
        server = HttpServer(service.app, settings.http.http_host, settings.http.http_port)
        if await _unless(stopping, _start(service, server)):
            settle()
            log.info("service.started", port=server.port, duration_ms=round((time.perf_counter() - began) * 1000))
            await _until_over(service, server, stopping)
    except Exception:  # whatever failed, what runs must still be drained
        log.exception("service.failed")
        status = 1
    drained = await _drain(service, server, settings.runtime.shutdown_grace_s)
    status = status if drained else 1
    log.info("service.stopped", status=status)
    return status


async def _run(build: Build[S], settings: S) -> int:
    signals = StopSignals(settings.runtime.shutdown_grace_s)
    try:
        built = build(settings)
        service = await _unless(signals.stopping, built) if inspect.isawaitable(built) else built
        if service is None:
            return 0
        configure_logging(service.name, settings.runtime.log_level)
        return await serve(service, settings, signals.stopping)
    except SettingsError:
        raise
    except Exception:  # the log, not a traceback, tells why a process ends
        log.exception("service.failed")
        return 1
    finally:
        flush_lines()
        signals.finish()


async def _start(service: Service, server: HttpServer) -> HttpServer:
    await service.start()
    await server.start()
    return server


async def _unless(stopping: asyncio.Event, work: Awaitable[R]) -> R | None:
    """Return what `work` returns; cancel it and return None when the service is to stop first."""
    task = asyncio.ensure_future(work)
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    return None if task.cancelled() else task.result()


async def _until_over(service: Service, server: HttpServer, stopping: asyncio.Event) -> None:
    """Return when the service is to stop; raise what failed before."""
    failure = asyncio.create_task(_failure_of(service))
    stop = asyncio.create_task(stopping.wait())
    done: set[asyncio.Task[Any]]
    done, _ = await asyncio.wait({failure, stop, server.ticking}, return_when=asyncio.FIRST_COMPLETED)
    for task in (failure, stop):
        task.cancel()
    if stop not in done:
        for task in done:
            task.result()
        raise RuntimeError(f"{service.name}: the HTTP server ended by itself")


async def _failure_of(service: Service) -> None:
    """Wait for ever, or raise what `service.failed` reports."""
    failed: asyncio.Future[object] = getattr(service, "failed", None) or asyncio.get_running_loop().create_future()
    await asyncio.shield(failed)
    raise RuntimeError(f"{service.name}: a background task failed")


async def _drain(service: Service, server: HttpServer | None, grace_s: float) -> bool:
    """Refuse new work, let the running finish, stop the service; False, and a log line, when that took too long or failed."""
    health = getattr(service, "health", None) or getattr(service.app, "health", None)
    if isinstance(health, Health):
        health.set_draining()
    log.info("service.draining", grace_s=grace_s)
    finished = True
    try:
        async with asyncio.timeout(grace_s) as grace:
            if server is not None:
                finished = await server.drain(grace_s - min(grace_s * STOP_SHARE, STOP_SHARE_MOST_S))
            await service.stop()
    except Exception:  # it ends either way; the status and the log tell how
        log.exception("service.grace_exceeded" if grace.expired() else "service.stop_failed", grace_s=grace_s)
        return False
    if not finished:
        log.error("service.requests_cut", grace_s=grace_s)
    return finished


def _settings_of(build: Build[S]) -> type[S]:
    """Return the type of `build`'s first parameter."""
    parameter = next(iter(inspect.signature(build).parameters))
    return typing.cast("type[S]", typing.get_type_hints(build)[parameter])


def _command_line(build: Build[S]) -> argparse.ArgumentParser:
    what = "Runs until SIGTERM or SIGINT. Settings are environment variables: docs/operations.md has them all; those that are "
    program = f"python -m {build.__module__.rpartition('.')[0]}"
    return argparse.ArgumentParser(program, description=f"{what}missing or malformed are named at start.")


def _package_of(build: Build[S]) -> str:
    """Name the service until it names itself: `ingest` for a `build` in `services.ingest.app`."""
    return (["", *build.__module__.split(".")])[-2] or build.__module__
