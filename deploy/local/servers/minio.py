"""MinIO: the S3 server, built from its Go module."""

import threading
from pathlib import Path

from deploy.local.servers.cache import CACHE, fetch, need
from deploy.local.servers.ports import HOST
from deploy.local.servers.s3_server import S3Server

MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"  # what @latest was when this was written


def minio() -> Path:
    """Return where the program is, once it is built."""
    return CACHE / f"minio-{VERSION.rsplit('-', 1)[-1]}" / "minio"


class MinioServer(S3Server):
    """One MinIO on one folder."""

    name = "minio"

    def prepare(self, given_up: threading.Event) -> None:
        """Build the program on first use."""
        folder = minio().parent
        if not folder.is_dir():
            need(["go"], purpose="MinIO (S3=minio)", default="S3=seaweedfs")
            environment = {"GOBIN": "{folder}", "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
            fetch(["go", "install", f"{MODULE}@{VERSION}"], folder, environment, given_up)

    def command(self) -> list[str]:
        """Return the server on loopback, without its console."""
        return [str(minio()), "server", str(self.data), "--address", f"{HOST}:{self.port}", "--quiet"]

    def environment(self) -> dict[str, str]:
        """Return the one user, and that nothing but S3 is wanted."""
        return {
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
        }
