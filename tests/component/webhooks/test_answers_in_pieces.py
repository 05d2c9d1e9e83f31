"""Answers of receivers that send them in pieces: where the network cuts one must not matter."""

import asyncio

import pytest
from aiohttp.client_proto import ResponseHandler

from services.webhooks.http_sender import HttpSender, SenderSettings
from services.webhooks.targets import Targets

HEAD = b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(HEAD) - 5, len(HEAD) + 1))
async def test_what_stands_behind_the_head_changes_nothing_wherever_the_head_is_cut(monkeypatch, cut):
    received, requests = asyncio.Event(), []
    hand_on = ResponseHandler.data_received

    def noted(handler, data):
        hand_on(handler, data)
        received.set()

    async def handle(reader, writer):
        requests.append(await reader.readuntil(b"\r\n\r\n{}"))
        writer.write(HEAD[:cut])
        await received.wait()
        writer.write(HEAD[cut:] + b"ok")
        await writer.drain()
        writer.close()

    monkeypatch.setattr(ResponseHandler, "data_received", noted)
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    sender = HttpSender(SenderSettings(timeout_s=5.0), Targets(allow_private=True))
    await sender.start()
    answer = await sender.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"{}")
    await sender.close()
    server.close()
    assert (answer.status_code, len(requests)) == (204, 1)
