"""The same three servers as containers, for EARWITNESS_TESTS_SERVERS=docker: Apache Kafka, MongoDB and MinIO.

Ports have the same number inside and outside, so that what Kafka advertises is what clients reach. Other images than these, a
registry's copies or one's own, are named by EARWITNESS_TESTS_KAFKA_IMAGE and its siblings.
"""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from deploy.local.servers.kafka_probe import check_broker
from deploy.local.servers.minio import MinioServer
from deploy.local.servers.mongo import MongoServer
from deploy.local.servers.ports import HOST, free_port
from deploy.local.servers.server import NotYet
from shared.settings import S3Settings
from tests.servers import settings_of

KAFKA = os.environ.get("EARWITNESS_TESTS_KAFKA_IMAGE", "apache/kafka:4.1.1")
MONGO = os.environ.get("EARWITNESS_TESTS_MONGO_IMAGE", "mongo:7.0")
MINIO = os.environ.get("EARWITNESS_TESTS_MINIO_IMAGE", "minio/minio:latest")
DEADLINE_S = 120.0


def docker_answers() -> bool:
    """Whether a Docker engine answers here."""
    try:
        client = docker.from_env(timeout=5)
        client.ping()
    except DockerException:
        return False
    client.close()
    return True


class ContainerServers:
    """The session's own servers, each started when first asked for; the embedded ones' probes say when they answer."""

    def __init__(self, folder: Path) -> None:
        self._started = ExitStack()
        self._mongo: MongoServer | None = None
        self._store: MinioServer | None = None
        self._broker: int | None = None
        self._folder = folder

    def mongo_url(self) -> str:
        if self._mongo is None:
            probe = MongoServer(self._folder)
            container = DockerContainer(MONGO).with_command(f"mongod --bind_ip_all --port {probe.port}")
            self._start(container, probe.port, probe.check)
            self._mongo = probe
        return self._mongo.url

    def s3_settings(self) -> S3Settings:
        if self._store is None:
            probe = MinioServer(self._folder)
            container = DockerContainer(MINIO).with_command(f"server /data --address :{probe.port}")
            for name, value in probe.environment().items():
                container.with_env(name, value)
            self._start(container, probe.port, probe.check)
            self._store = probe
        return settings_of(self._store)

    def make_bucket(self, bucket: str) -> None:
        self.s3_settings()
        self._store.make_bucket(bucket)

    def kafka_servers(self) -> str:
        if self._broker is None:
            port = free_port()
            container = DockerContainer(KAFKA)
            for name, value in _kafka_settings(port).items():
                container.with_env(name, value)
            self._start(container, port, lambda: check_broker(HOST, port))
            self._broker = port
        return f"{HOST}:{self._broker}"

    def close(self) -> None:
        self._started.close()

    def _start(self, container: DockerContainer, port: int, check: Callable[[], None]) -> None:
        container.with_bind_ports(port, port)
        self._started.callback(container.stop)
        container.start()
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return check()
            except Exception as error:
                if time.monotonic() > deadline or _ended(container):
                    raise NotYet(f"{container.image} does not answer: {container.get_logs()}") from error
                time.sleep(0.1)


def _ended(container: DockerContainer) -> bool:
    """Whether it will not answer any more."""
    wrapped = container.get_wrapped_container()
    wrapped.reload()
    return wrapped.status in ("exited", "dead")


def _kafka_settings(port: int) -> dict[str, str]:
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{HOST}:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
