"""The API as a service over real servers, served over a socket; replicas of it share everything."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from deploy.local.servers.ports import free_port
from services.ingest.app import Ingest
from services.ingest.settings import ApiSettings, IngestSettings
from shared.http_server import HttpServer
from shared.settings import HttpSettings, KafkaSettings, MongoSettings, RuntimeSettings, S3Settings, SealingSettings
from tests.fakes.api_client import ApiClient
from tests.fakes.ingest import UNLIMITED
from tests.fakes.sealing import SEALING_KEY

ADMIN_TOKEN = "admin-token-for-tests"


async def until(fact, within_s=60.0):
    """Wait for `fact` to hold; what it returned then."""
    async with asyncio.timeout(within_s):
        while not (found := await fact()):
            await asyncio.sleep(0.02)
    return found


@dataclass
class Servers:
    """Where one deployment's servers are."""

    mongo: MongoSettings
    kafka: KafkaSettings
    s3: S3Settings

    @asynccontextmanager
    async def replica(self, **api):
        """Run one replica of the API; yields its client, not yet with a project."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        settings = IngestSettings(
            mongo=self.mongo,
            kafka=self.kafka,
            s3=self.s3,
            http=HttpSettings(http_host="127.0.0.1", http_port=port),
            runtime=RuntimeSettings(),
            sealing=SealingSettings((SEALING_KEY,)),
            api=ApiSettings(public_url=url, admin_token=ADMIN_TOKEN, signing_secret="signs chunk urls", **(UNLIMITED | api)),
        )
        service = Ingest(settings)
        await service.start()
        server = HttpServer(service.app, "127.0.0.1", port)
        await server.start()
        async with httpx.AsyncClient(timeout=30) as http:
            client = ApiClient(http, url, ADMIN_TOKEN)
            client.service = service
            try:
                yield client
            finally:
                await server.drain(5)
                await service.stop()


@pytest.fixture
def deployment(mongo_settings, bucket_settings, kafka_settings):
    """The shared servers, with a database and a bucket of the test's own."""
    return Servers(mongo_settings, kafka_settings, bucket_settings)


@pytest.fixture
async def api(deployment):
    """One replica with a project and a key."""
    async with deployment.replica() as client:
        yield await client.open()
