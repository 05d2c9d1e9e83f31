"""The whole platform on one machine: three servers and four services, started together and stopped in order."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.chores import model_chore
from deploy.local.plan import Plan
from deploy.local.servers.apache_kafka import KafkaServer
from deploy.local.servers.minio import MinioServer
from deploy.local.servers.mongo import MongoServer
from deploy.local.servers.s3_server import S3Server
from deploy.local.servers.seaweedfs import SeaweedServer
from deploy.local.servers.server import Server, start_all, stop_all
from deploy.local.servers.tansu import TansuServer
from deploy.local.services import SERVICES, ServiceProcess

_BROKERS: dict[str, type[KafkaServer | TansuServer]] = {"memory": TansuServer, "kafka": KafkaServer}
_STORES: dict[str, type[S3Server]] = {"seaweedfs": SeaweedServer, "minio": MinioServer}
PARTITIONS = 2
# Tansu answers a fetch only when half its wait is over, and takes half the session timeout to form a group. To ask it twice as
# often costs it and each consumer half as much again, and wins 2 ms.
_TANSU = {"kafka_fetch_wait_ms": "20", "kafka_session_timeout_ms": "3000"}
SERVICE_DEADLINE_S = 120.0  # the transcriber loads its model once per core


class Stack:
    """Servers and services that know each other; `extra` settings go to every service.

    With `tethered` everything dies with this process; without, it stays and is found again by the recorded process ids.
    """

    def __init__(self, plan: Plan, folder: Path, *, extra: Mapping[str, str] | None = None, tethered: bool = True) -> None:
        self.plan = plan
        ports = plan.ports
        self.mongo = MongoServer(folder / "mongo", port=ports["mongo"], tethered=tethered)
        self.store = _STORES[plan.s3](folder / plan.s3, port=ports["s3"], secret_key=plan.s3_secret_key, tethered=tethered)
        self.broker = _BROKERS[plan.broker](folder / f"broker-{plan.broker}", port=ports["broker"], tethered=tethered)
        settings = {**self._settings(), **(extra or {})}
        self.services = {
            name: ServiceProcess(name, folder / "services" / name, settings, port=ports[name], tethered=tethered)
            for name in SERVICES
        }

        self.services["transcriber"].chore = model_chore(folder)

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return self.services["ingest"].url

    @property
    def servers(self) -> Sequence[Server]:
        """What the services stand on."""
        return (self.mongo, self.store, self.broker)

    @property
    def members(self) -> Mapping[str, Server]:
        """Everything that runs, by name."""
        return {"mongo": self.mongo, "s3": self.store, "broker": self.broker, **self.services}

    def start_servers(self) -> None:
        """Start the servers; none is left when one fails."""
        start_all(self.servers)

    def start_services(self, *names: str) -> None:
        """Start the services, or those named, each until it is ready; none of them is left when one fails.

        The transcriber fetches its speech model on first use.
        """
        start_all([self.services[name] for name in names or SERVICES], SERVICE_DEADLINE_S)

    def start(self) -> None:
        """Start everything; nothing is left when something fails."""
        try:
            self.start_servers()
            self.start_services()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Drain the services, then end the servers; nothing is left when it returns, even when it is cut short."""
        try:
            stop_all(self.services.values())
            stop_all(self.servers)
        finally:
            self.kill()

    def finish(self) -> None:
        """Stop what will not be used again: the services in order, the servers at once."""
        try:
            stop_all(self.services.values())
        finally:
            self.kill()

    def kill(self) -> None:
        """End everything at once, as a power cut would."""
        for member in self.members.values():
            member.kill()

    def _settings(self) -> dict[str, str]:
        plan, store = self.plan, self.store
        named = {
            "mongo_url": self.mongo.url,
            "mongo_database": "earwitness",
            "kafka_servers": self.broker.servers,
            "kafka_partitions": str(PARTITIONS),
            "kafka_idempotent": "true" if plan.broker == "kafka" else "false",
            "s3_endpoint": store.endpoint,
            "s3_access_key": store.access_key,
            "s3_secret_key": store.secret_key,
            "s3_bucket": store.bucket,
            "public_url": f"http://127.0.0.1:{plan.ports['ingest']}",
            "admin_token": plan.admin_token,
            "signing_secret": plan.signing_secret,
            "sealing_keys": plan.sealing_key,
            "webhooks_allow_private": "true",  # everything here is on loopback, receivers too
        }
        if plan.broker == "memory":
            named |= _TANSU
        return {f"EARWITNESS_{name.upper()}": value for name, value in named.items()}
