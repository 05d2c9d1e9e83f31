"""A small service for `test_service_process.py`, run as a process of its own; its folder argument collects what it did."""

import asyncio
import sys
import threading
import time
from pathlib import Path

import msgspec

from shared.background import Background
from shared.service import run_service
from shared.settings import HttpSettings, RuntimeSettings
from shared.telemetry.health import operations_app


class TinySettings(msgspec.Struct, frozen=True):
    http: HttpSettings
    runtime: RuntimeSettings
    tiny_journal: Path
    tiny_fault: str | None = None


class TinyService:
    """Answers `/slow` once the file `release` is there, fails where `tiny_fault` says, writes its steps to the journal folder."""

    name = "tiny"

    def __init__(self, settings: TinySettings) -> None:
        self._journal = settings.tiny_journal
        self._fault = settings.tiny_fault
        self._operations = operations_app({})
        self.app = self._answer
        self.health = self._operations.health
        self._background = Background()
        self.failed = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        self._note("start")
        if self._fault == "start":
            raise ConnectionError("nothing to connect to")
        if self._fault == "slow-start":
            await self._released()
        if self._fault == "background":
            self._background.start("consumer", self._break)
        if self._fault == "stuck-thread":
            threading.Thread(target=time.sleep, args=(3600,)).start()

    async def stop(self) -> None:
        self._note("stop")
        await self._background.stop()
        if self._fault == "stop":
            raise ConnectionError("cannot hand back")
        if self._fault == "slow-stop":
            await asyncio.Event().wait()
        if self._fault == "blocked-stop":
            time.sleep(3600)  # noqa: ASYNC251  # the fault under test
        self._note("stopped")

    async def _answer(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan" or scope["path"] != "/slow":
            await self._operations(scope, receive, send)
            return
        self._note("request")
        await self._released()
        self._note(f"draining-{self.health.draining.is_set()}")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    async def _released(self) -> None:
        while not (self._journal / "release").exists():  # the test sets it
            await asyncio.sleep(0.01)

    async def _break(self) -> None:
        await self._released()
        self.failed.set_exception(ConnectionError("the broker is gone"))

    def _note(self, step: str) -> None:
        (self._journal / step).touch()


async def build(settings: TinySettings) -> TinyService:
    if settings.tiny_fault == "build":
        raise ConnectionError("cannot be built")
    if settings.tiny_fault == "slow-build":
        (settings.tiny_journal / "build").touch()
        await asyncio.Event().wait()
    return TinyService(settings)


if __name__ == "__main__":
    sys.exit(run_service(build))
