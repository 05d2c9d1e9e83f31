"""How many connections are open, and whose fault it is when there can be no more."""

import asyncio
import contextlib
import resource
import socket

import pytest

from services.webhooks.http_sender import HttpSender, SenderSettings
from services.webhooks.targets import Targets
from shared.domain.delivery import AttemptError
from tests.fakes.webhook_receiver import eventually

BODY = b'{"id":"evt_1"}'


def everything_here(_host, port, *rest):
    return socket.getaddrinfo("127.0.0.1", port, *rest)


@pytest.fixture
async def sender():
    one = HttpSender(SenderSettings(timeout_s=5.0), Targets(allow_private=True, lookup=everything_here))
    await one.start()
    yield one
    await one.close()


class Patient:
    """A server that answers whatever comes and leaves closing to the client."""

    def __init__(self):
        self.made, self.open = 0, 0

    async def __call__(self, reader, writer):
        self.made, self.open = self.made + 1, self.open + 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(BODY))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        self.open -= 1
        writer.close()


@pytest.fixture
async def server():
    patient = Patient()
    listening = await asyncio.start_server(patient, "127.0.0.1", 0)
    patient.port = listening.sockets[0].getsockname()[1]
    yield patient
    listening.close()


async def test_however_many_receivers_there_are_few_connections_are_kept(sender, server, monkeypatch):
    monkeypatch.setattr("services.webhooks.http_sender.MOST_IDLE", 3)
    for number in range(10):
        assert (await sender.post(f"http://r{number}.example:{server.port}/", {}, BODY)).accepted
    assert server.made == 10
    await eventually(lambda: server.open == 3, within_s=5)
    assert (await sender.post(f"http://r0.example:{server.port}/", {}, BODY)).accepted
    assert server.made == 10  # those that are kept are used


@contextlib.contextmanager
def no_more_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_that_no_more_files_may_be_open_here_is_no_fault_of_the_receiver(sender, server):
    with no_more_files():
        answer = await sender.post(f"http://127.0.0.1:{server.port}/", {}, BODY)
    assert answer.error is AttemptError.INTERNAL_ERROR
    assert (await sender.post(f"http://127.0.0.1:{server.port}/", {}, BODY)).accepted


async def test_nor_is_a_name_that_cannot_be_looked_up_for_that(server):
    by_name = HttpSender(SenderSettings(timeout_s=5.0), Targets(allow_private=True))
    await by_name.start()
    try:
        with no_more_files():
            answer = await by_name.post(f"http://localhost:{server.port}/", {}, BODY)
        assert answer.error is AttemptError.INTERNAL_ERROR
        assert (await by_name.post("http://no-such-name.invalid/", {}, BODY)).error is AttemptError.DNS_FAILED
    finally:
        await by_name.close()
