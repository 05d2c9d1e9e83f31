"""Apache Kafka: one node in KRaft mode, from its Maven artifacts."""

import shutil
import subprocess
import threading
from pathlib import Path

from deploy.local.servers.cache import CACHE, fetch, need
from deploy.local.servers.kafka_probe import check_broker
from deploy.local.servers.ports import HOST, free_port
from deploy.local.servers.server import Server, ServerUnavailable

VERSION = "4.1.1"  # as in kafka-pom.xml
_POM = Path(__file__).with_name("kafka-pom.xml")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_CLUSTER_ID = "ZWFyd2l0bmVzcy1sb2NhbA"  # sixteen bytes in base64, as Kafka wants it; the cluster is this one node
_HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # starts fast, stays small
_LOGS = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=CLIENTS://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=CLIENTS://{host}:{port}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
auto.create.topics.enable=false
"""


def libraries() -> Path:
    """Return the folder of Kafka's jars."""
    return CACHE / f"kafka-{VERSION}"


class KafkaServer(Server):
    """A broker that is its own controller and keeps its log on disk."""

    name = "kafka"

    def __init__(self, folder: Path, *, port: int | None = None, tethered: bool = True) -> None:
        super().__init__(folder, tethered=tethered)
        self.port = port or free_port()
        self._controller_port = free_port()

    @property
    def servers(self) -> str:
        """What clients bootstrap from."""
        return f"{HOST}:{self.port}"

    def prepare(self, given_up: threading.Event) -> None:
        """Fetch the jars on first use."""
        folder = libraries()
        needed = ["java"] if folder.is_dir() else ["java", "mvn"]
        need(needed, purpose="Apache Kafka (BROKER=kafka)", default="BROKER=memory")
        if not folder.is_dir():
            maven = ["mvn", "-B", "-q", "-f", str(_POM), _COPY, "-DincludeScope=runtime", "-DoutputDirectory={folder}"]
            fetch(maven, folder, {}, given_up)

    def command(self) -> list[str]:
        """Return the broker; a new data folder is formatted first."""
        properties = self.folder / "server.properties"
        where = {"host": HOST, "port": self.port, "controller": self._controller_port, "data": self.data}
        properties.write_text(_PROPERTIES.format_map(where), encoding="utf-8")
        if not (self.data / "meta.properties").is_file():
            self._format(properties)
        return [*self._java(), "kafka.Kafka", str(properties)]

    def check(self) -> None:
        """Return when it serves metadata, itself included."""
        check_broker(HOST, self.port)

    def _format(self, properties: Path) -> None:
        tool = [*self._java(), "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties)]
        done = subprocess.run(tool, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerUnavailable(f"Kafka could not format {self.data}: {(done.stdout + done.stderr)[-2000:]}")

    def _java(self) -> list[str]:
        java = shutil.which("java") or "java"
        return [java, *_HEAP, *_LOGS, "-cp", f"{libraries()}/*"]
