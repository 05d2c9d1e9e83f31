"""The API over fakes: one application for all tests, a project of its own for each."""

import pytest

from tests.fakes.ingest import Api, fake_stores


@pytest.fixture(scope="session")
async def fake_application():
    """The application, built once."""
    api = Api(fake_stores())
    yield api
    await api.client.aclose()


@pytest.fixture
async def api(fake_application):
    """The API with a new project and a key of all scopes; the fakes work again after a test that broke them."""
    api = fake_application
    await api.open()
    api.stores.relay.nudged.clear()
    yield api
    api.stores.recordings.down = api.stores.transcriptions.down = api.stores.objects.down = False
    api.stores.objects.before_confirming = None
