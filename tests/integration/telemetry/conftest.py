"""A server of the test's own, and a raw connection to it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.http_server import HttpServer
from tests.integration.telemetry.raw_http import Client, echo_length


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    server = HttpServer(echo_length, "127.0.0.1", 0)
    await server.start()
    yield server
    assert await server.drain(5)


@pytest.fixture
async def client(server) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
    yield client
    client.writer.close()
