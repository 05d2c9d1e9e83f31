"""The four services as the processes that a container would run: `python -m services.ingest` and its siblings."""

import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from deploy.local.chores import ROOT, Chore
from deploy.local.servers.ports import HOST, free_port
from deploy.local.servers.server import START_DEADLINE_S, NotYet, Server

SERVICES = ("ingest", "stitcher", "transcriber", "webhooks")
_PROBE_TIMEOUT_S = 5.0


class ServiceProcess(Server):
    """One service with its settings in the environment; its JSON log lines go to `<folder>/<name>.log`."""

    def __init__(self, name: str, folder: Path, settings: Mapping[str, str], *, port: int = 0, tethered: bool = True) -> None:
        self.name = name
        super().__init__(folder, tethered=tethered)
        self.port = port or free_port()
        self._settings = settings
        self.chore: Chore | None = None

    @property
    def url(self) -> str:
        """Where its HTTP answers."""
        return f"http://{HOST}:{self.port}"

    def replica(self, folder: Path) -> "ServiceProcess":
        """Return another process of the same service: the same settings, a port and a folder of its own, tethered to us."""
        return ServiceProcess(self.name, folder, self._settings)

    def start(self, deadline_s: float = START_DEADLINE_S, given_up: threading.Event | None = None) -> None:
        """Do the chore first, once; then start and wait until it is ready."""
        if self.chore is not None:
            self.chore()
        super().start(deadline_s, given_up)

    def kill(self) -> None:
        """End it as a crash would, and its chore."""
        if self.chore is not None:
            self.chore.cancel()
        super().kill()

    def command(self) -> list[str]:
        """Return the module, run by our own Python."""
        return [sys.executable, "-m", f"services.{self.name}"]

    def environment(self) -> dict[str, str]:
        """Return the settings, and where the code lies."""
        own = {"EARWITNESS_HTTP_HOST": HOST, "EARWITNESS_HTTP_PORT": str(self.port), "EARWITNESS_WORK_DIR": str(self.data)}
        return {**self._settings, **own, "PYTHONPATH": str(ROOT)}

    def check(self) -> None:
        """Return when it says that it is ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=_PROBE_TIMEOUT_S) as answer:  # noqa: S310  # our URL
                ready = answer.status == HTTPStatus.OK
        except urllib.error.HTTPError as unready:
            raise NotYet(unready.read().decode(errors="replace")) from unready
        if not ready:
            raise NotYet(f"status {answer.status}")
