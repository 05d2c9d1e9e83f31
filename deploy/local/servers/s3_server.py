"""What the S3 servers have in common: credentials, a bucket, and the question whether they answer."""

import secrets
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import S3Error

from deploy.local.servers.ports import HOST, free_port
from deploy.local.servers.server import Server

BUCKET = "earwitness"
_TAKEN = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


class S3Server(Server):
    """An S3 server with one pair of keys and one bucket, made at start."""

    def __init__(self, folder: Path, *, port: int | None = None, secret_key: str | None = None, tethered: bool = True) -> None:
        super().__init__(folder, tethered=tethered)
        self.port = port or free_port()
        self.bucket = BUCKET
        self.access_key = "earwitness"
        self.secret_key = secret_key or secrets.token_hex(20)

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    def check(self) -> None:
        """Return when it answers with our keys and has the bucket."""
        self.make_bucket(self.bucket)

    def make_bucket(self, bucket: str) -> None:
        """Make `bucket` unless it exists."""
        pool = urllib3.PoolManager(timeout=urllib3.Timeout(5), retries=False)
        client = Minio(
            f"{HOST}:{self.port}", self.access_key, self.secret_key, secure=False, region="us-east-1", http_client=pool
        )
        try:
            client.make_bucket(bucket)
        except S3Error as error:
            if error.code not in _TAKEN:
                raise
        finally:
            pool.clear()
