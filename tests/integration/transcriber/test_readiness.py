"""A transcriber is not ready before a worker process has its model loaded and warm."""

import httpx
import pytest

from services.transcriber.app import Transcriber
from services.transcriber.cloud_settings import CloudSettings
from services.transcriber.settings import SpeechSettings, TranscriberSettings
from shared.settings import HttpSettings, RuntimeSettings, SealingSettings
from shared.workers import ProcessPool
from tests.fakes.sealing import SEALING_KEY


class Pool(ProcessPool):
    """Worker processes, of which so many are warm."""

    warm = 0

    def __init__(self):
        """Begin none."""

    async def start(self):
        pass

    async def stop(self):
        pass


@pytest.fixture
async def transcriber(mongo_settings, kafka_settings, bucket_settings, tmp_path):
    settings = TranscriberSettings(
        mongo=mongo_settings,
        kafka=kafka_settings,
        s3=bucket_settings,
        http=HttpSettings(http_host="127.0.0.1", http_port=0),
        runtime=RuntimeSettings(work_dir=tmp_path),
        sealing=SealingSettings((SEALING_KEY,)),
        speech=SpeechSettings(),
        cloud=CloudSettings(),
    )
    pool = Pool()
    service = Transcriber(settings, pool)
    await service.start()
    yield service, pool
    await service.stop()


async def checks(service):
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://transcriber.test") as client:
        answer = await client.get("/health/ready")
    return answer.status_code, answer.json()


async def test_it_is_ready_once_a_worker_is_warm_and_not_while_none_is(transcriber):
    service, pool = transcriber
    cold, told = await checks(service)
    assert cold == 503
    assert "worker" in str(told)
    pool.warm = 1
    assert (await checks(service))[0] == 200
    pool.warm = 0
    assert (await checks(service))[0] == 503
