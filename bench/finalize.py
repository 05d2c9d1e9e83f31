"""From finalize to `recording.uploaded` at the receiver, against a bare HTTP POST to the same receiver in the same run.

`python -m bench.finalize [--rate 20] [--seconds 10] [--rounds 3] [--services …]`: recordings of three small chunks are opened,
filled and finalized at a fixed rate (open loop: a slow answer delays nobody else). The clock runs from sending the finalize
request to the receiver's handling of the webhook; beside each, one bare POST with a body of the same size.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
from aiohttp import web

from bench.figures import Figures, percentile
from bench.http_load import UNLIMITED
from deploy.local.api import Api, end_user, new_project
from deploy.local.plan import new_plan
from deploy.local.services import SERVICES
from deploy.local.stack import Stack

CHUNKS = 3
CHUNK_BYTES = 8_000
DEADLINE_S = 20.0
GOAL_P50_MS, GOAL_P99_MS = 40.0, 200.0


class Receiver:
    """Remembers when it heard of each recording."""

    def __init__(self) -> None:
        self._heard: dict[str, asyncio.Future[float]] = {}

    async def start(self) -> str:
        """Listen on a free loopback port and return the URL."""
        app = web.Application()
        app.router.add_post("/", self._receive)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def stop(self) -> None:
        """Close the port."""
        await self._runner.cleanup()

    def hearing(self, name: str) -> "asyncio.Future[float]":
        """Return what is done, with the moment, once `name` was heard of."""
        return self._heard.setdefault(name, asyncio.get_running_loop().create_future())

    async def _receive(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read())
        heard = self.hearing(body["data"]["id"])
        if not heard.done():
            heard.set_result(time.perf_counter())
        return web.Response()


class Customer(NamedTuple):
    """A project's key, and whose recordings it uploads."""

    key: str
    end_user_id: str


class Load:
    """Recordings and bare POSTs, each timed in milliseconds."""

    def __init__(
        self, client: aiohttp.ClientSession, api_url: str, customer: Customer, receiver: Receiver, receiver_url: str
    ) -> None:
        self._client, self._api, self._receiver, self._receiver_url = client, api_url, receiver, receiver_url
        self._headers = {"Authorization": f"Bearer {customer.key}"}
        self._end_user_id = customer.end_user_id
        self.webhook_ms: list[float] = []
        self.answer_ms: list[float] = []
        self.bare_ms: list[float] = []

    async def recording(self) -> None:
        """Open, fill and finalize one recording, and wait for its webhook."""
        opened = await self._post("/v1/recordings", {"end_user_id": self._end_user_id, "streaming": True})
        for number in range(1, CHUNKS + 1):
            url = opened["chunk_upload_url_template"].replace("{chunk_number}", str(number))
            async with self._client.put(url, data=bytes(CHUNK_BYTES), headers={"Content-Type": "audio/ogg"}) as answer:
                answer.raise_for_status()
        heard = self._receiver.hearing(opened["id"])
        began = time.perf_counter()
        await self._post(f"/v1/recordings/{opened['id']}/finalize", {"total_chunks": CHUNKS, "final_duration_ms": 3000})
        self.answer_ms.append((time.perf_counter() - began) * 1000)
        self.webhook_ms.append((await asyncio.wait_for(heard, DEADLINE_S) - began) * 1000)

    async def bare(self) -> None:
        """POST to the receiver directly, a body of about a webhook's size."""
        body = msgspec.json.encode({"data": {"id": "bare"}, "padding": "x" * 900})
        began = time.perf_counter()
        async with self._client.post(self._receiver_url, data=body, headers={"Content-Type": "application/json"}) as answer:
            await answer.read()
        self.bare_ms.append((time.perf_counter() - began) * 1000)

    async def at_rate(self, per_second: float, seconds: float) -> None:
        """Start so many of both a second, for so long; return when all have ended."""
        tasks: list[asyncio.Task[None]] = []
        began = time.perf_counter()
        for number in range(int(per_second * seconds)):
            tasks += [asyncio.create_task(self.recording()), asyncio.create_task(self.bare())]
            await asyncio.sleep(max(0.0, began + (number + 1) / per_second - time.perf_counter()))
        await asyncio.gather(*tasks)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._client.post(self._api + path, json=body, headers=self._headers) as answer:
            answer.raise_for_status()
            decoded: dict[str, Any] = await answer.json()
            return decoded


async def measure(stack: Stack, rate: float, seconds: float, rounds: int) -> list[Load]:
    """Run the load so many times, after one short round that is thrown away."""
    receiver = Receiver()
    url = await receiver.start()
    _, key = await asyncio.to_thread(new_project, stack.api_url, stack.plan.admin_token, "bench")
    endpoint = {"url": url, "events": ["recording.uploaded"]}
    api = Api(stack.api_url, key)
    await asyncio.to_thread(api.post, "/v1/webhook-endpoints", endpoint)
    customer = Customer(key, await asyncio.to_thread(end_user, api, "bench"))
    loads = []
    async with aiohttp.ClientSession() as client:
        for number in range(rounds + 1):
            load = Load(client, stack.api_url, customer, receiver, url)
            await load.at_rate(rate, seconds if number else 2.0)
            loads.append(load)
    await receiver.stop()
    return loads[1:]


def report(loads: Sequence[Load], rate: float, services: Sequence[str]) -> None:
    """Print medians of the rounds, their spread, and the ratio to the bare POST."""
    print(f"finalize → recording.uploaded at the receiver, {rate:g} recordings/s, services running: {', '.join(services)}")
    for name, share, goal in (("p50", 0.5, GOAL_P50_MS), ("p99", 0.99, GOAL_P99_MS)):
        webhook = Figures([percentile(load.webhook_ms, share) for load in loads])
        bare = Figures([percentile(load.bare_ms, share) for load in loads])
        ratio = Figures([percentile(load.webhook_ms, share) / percentile(load.bare_ms, share) for load in loads])
        print(f"  {name}: {webhook:.1f} ms (goal under {goal:g}); bare POST {bare:.2f} ms; ratio {ratio:.1f}")
    answers = Figures([percentile(load.answer_ms, 0.5) for load in loads])
    print(f"  the finalize answer itself, p50: {answers:.1f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--services", default="ingest,webhooks", help="comma separated; the path itself needs these two")
    arguments = parser.parse_args()
    services = [name for name in SERVICES if name in arguments.services.split(",")]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stack = Stack(new_plan(), Path(folder), extra=UNLIMITED)
        try:
            stack.start_servers()
            stack.start_services(*services)
            loads = asyncio.run(measure(stack, arguments.rate, arguments.seconds, arguments.rounds))
        finally:
            stack.stop()
    report(loads, arguments.rate, services)


if __name__ == "__main__":
    main()
