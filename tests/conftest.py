"""What every test can ask for: real servers, and names of its own on them."""

import os
import secrets
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, settings

from shared.settings import KafkaSettings, MongoSettings, S3Settings
from tests.containers import ContainerServers, docker_answers
from tests.servers import EmbeddedServers, PrivateServers, TestServers
from tests.side_by_side import keep_to_own_ports, pytest_collection_modifyitems, pytest_xdist_make_scheduler

__all__ = ["pytest_collection_modifyitems", "pytest_xdist_make_scheduler"]

keep_to_own_ports()  # before a test module asks for one

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # how long an example takes to draw or to run says how busy the machine is


@pytest.fixture(scope="session")
def session_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServers]:
    """The servers all tests of this process share; each starts when first asked for."""
    folder = tmp_path_factory.mktemp("servers")
    servers: TestServers
    match os.environ.get("EARWITNESS_TESTS_SERVERS", "embedded"):
        case "embedded":
            servers = EmbeddedServers(folder)
        case "docker":
            if not docker_answers():
                pytest.exit("EARWITNESS_TESTS_SERVERS=docker, but no Docker engine answers", returncode=4)
            servers = ContainerServers(folder)
        case other:
            pytest.exit(f"EARWITNESS_TESTS_SERVERS={other}: expected embedded or docker", returncode=4)
    yield servers
    servers.close()


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServers]:
    """Private servers, for tests that stop, kill or wipe them."""
    private = PrivateServers(tmp_path_factory.mktemp("private"))
    yield private
    private.close()


@pytest.fixture(scope="session")
def mongo_url(session_servers: TestServers) -> str:
    """A MongoDB that all tests share; take `mongo_settings` for a database of one's own."""
    return session_servers.mongo_url()


@pytest.fixture
def mongo_settings(mongo_url: str) -> MongoSettings:
    """A database that no other test sees."""
    return MongoSettings(mongo_url=mongo_url, mongo_database=f"test_{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def object_store_settings(session_servers: TestServers) -> S3Settings:
    """An object store with a bucket that all tests share."""
    return session_servers.s3_settings()


@pytest.fixture
def bucket_settings(session_servers: TestServers) -> S3Settings:
    """The same store with an empty bucket that no other test sees."""
    bucket = f"test-{secrets.token_hex(6)}"
    session_servers.make_bucket(bucket)
    return msgspec.structs.replace(session_servers.s3_settings(), s3_bucket=bucket)


@pytest.fixture(scope="session")
def kafka_servers(session_servers: TestServers) -> str:
    """A broker that all tests share, as `host:port`."""
    return session_servers.kafka_servers()


@pytest.fixture
def kafka_settings(kafka_servers: str) -> KafkaSettings:
    """Settings for the shared broker; topics and groups are told apart by `unique_name`."""
    return KafkaSettings(kafka_servers=(kafka_servers,), kafka_partitions=2)


@pytest.fixture
def fresh_broker(servers: PrivateServers) -> str:
    """An empty broker of the test's own, as `host:port`: the topics' real names are free in it."""
    return servers.kafka().servers


@pytest.fixture
def unique_name() -> str:
    """A name that no other test uses, for topics, groups, databases and keys."""
    return f"t{secrets.token_hex(6)}"
