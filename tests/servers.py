"""The servers that tests run on: embedded ones from wheels, or containers with EARWITNESS_TESTS_SERVERS=docker.

EARWITNESS_TESTS_BROKER=kafka and EARWITNESS_TESTS_S3=minio put Apache Kafka and MinIO in the places of the embedded ones.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

from deploy.local.servers.apache_kafka import KafkaServer
from deploy.local.servers.minio import MinioServer
from deploy.local.servers.mongo import MongoServer
from deploy.local.servers.s3_server import S3Server
from deploy.local.servers.seaweedfs import SeaweedServer
from deploy.local.servers.server import Server
from deploy.local.servers.tansu import TansuServer
from shared.settings import S3Settings

S = TypeVar("S", bound=Server)

BROKER = os.environ.get("EARWITNESS_TESTS_BROKER", "memory")
STORE = os.environ.get("EARWITNESS_TESTS_S3", "seaweedfs")
_BROKERS = {"memory": TansuServer, "kafka": KafkaServer}
_STORES = {"seaweedfs": SeaweedServer, "minio": MinioServer}


class TestServers(Protocol):
    """One of each, started when first asked for, stopped by `close`."""

    __test__ = False

    def mongo_url(self) -> str: ...
    def s3_settings(self) -> S3Settings: ...
    def make_bucket(self, bucket: str) -> None: ...
    def kafka_servers(self) -> str: ...
    def close(self) -> None: ...


def settings_of(store: S3Server) -> S3Settings:
    """Return how services reach an embedded store."""
    return S3Settings(
        s3_endpoint=store.endpoint, s3_access_key=store.access_key, s3_secret_key=store.secret_key, s3_bucket=store.bucket
    )


class PrivateServers:
    """Servers of one test's own, to stop, kill, restart and wipe; all end with the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = ExitStack()
        self._count = 0

    def mongo(self) -> MongoServer:
        """Start a MongoDB."""
        return self._start(MongoServer)

    def s3(self) -> S3Server:
        """Start an object store; `settings_of(store)` tells services where."""
        return self._start(_STORES[STORE])

    def kafka(self) -> TansuServer | KafkaServer:
        """Start a broker."""
        return self._start(_BROKERS[BROKER])

    def close(self) -> None:
        """Stop every one."""
        self._started.close()

    def _start(self, kind: type[S]) -> S:
        self._count += 1
        server = kind(self._folder / f"{self._count}-{kind.name}")
        self._started.callback(server.stop)
        server.start()
        return server


class EmbeddedServers:
    """The session's own servers, from wheels."""

    def __init__(self, folder: Path) -> None:
        self._private = PrivateServers(folder)
        self._mongo: MongoServer | None = None
        self._store: S3Server | None = None
        self._broker: TansuServer | KafkaServer | None = None

    def mongo_url(self) -> str:
        self._mongo = self._mongo or self._private.mongo()
        return self._mongo.url

    def s3_settings(self) -> S3Settings:
        self._store = self._store or self._private.s3()
        return settings_of(self._store)

    def make_bucket(self, bucket: str) -> None:
        self.s3_settings()
        self._store.make_bucket(bucket)

    def kafka_servers(self) -> str:
        self._broker = self._broker or self._private.kafka()
        return self._broker.servers

    def close(self) -> None:
        self._private.close()
