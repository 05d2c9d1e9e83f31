"""Chunk PUTs per second at 128 KiB through the API, against a bare Litestar handler that reads the body and drops it.

`python -m bench.chunks [--rounds 5] [--requests 1500]`. Two figures: with the object store on the same cores, which is what a
small installation sees, and with a store that drops what it gets, which is what the API itself costs. Both with the CPU time of
the API's process, which tells more than rates on a busy machine. Beside the first, what the store alone takes of the same client
by pre-signed URLs: no API before it can be faster. The rounds of each figure and of the bare handler are interleaved, and the two
figures are taken one after the other: a store goes on with what it was given for a while. Each chunk is acknowledged only after
the store's answer.

All of that over 16 and over 64 connections, each with one chunk under way. Over 16 the API has nothing to do at times: a chunk
waits for the store and the database, which a bare handler never does. Over 64 the rate is what its one thread can do.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

from bench.figures import Figures
from bench.http_load import put_request, requests_per_second
from bench.peers import Peer, answering, api_of, cpu_s, peer
from deploy.local.api import Api, end_user, new_project
from deploy.local.plan import new_plan
from deploy.local.servers.ports import HOST
from deploy.local.stack import Stack

CHUNK_BYTES = 128 * 1024
CONNECTIONS = (16, 64)
GOAL = 0.5
MOST_URLS = 1000  # in one answer


class Upload(NamedTuple):
    """An open streaming recording and where its chunks go."""

    server: Peer
    api: Api
    recording_id: str
    template: str


def opened(stack: Stack) -> Upload:
    """Open a streaming recording."""
    _, key = new_project(stack.api_url, stack.plan.admin_token, "bench")
    api = Api(stack.api_url, key)
    recording = api.post("/v1/recordings", {"end_user_id": end_user(api, "bench"), "streaming": True})
    return Upload(api_of(stack), api, recording["id"], recording["chunk_upload_url_template"])


def chunk_requests(template: str, first: int, count: int) -> list[bytes]:
    """Return PUTs of chunks `first` and up."""
    body = bytes(CHUNK_BYTES)
    return [put_request(template.replace("{chunk_number}", str(number)), body) for number in range(first, first + count)]


def direct_requests(upload: Upload, count: int) -> list[bytes]:
    """Return PUTs of so many chunks past the API."""
    requests: list[bytes] = []
    while missing := count - len(requests):
        asked = {"from": len(requests) + 1, "count": min(missing, MOST_URLS)}
        offered = upload.api.post(f"/v1/recordings/{upload.recording_id}/chunk-urls", asked)["data"]
        requests += [put_request(offer["upload_url"], bytes(CHUNK_BYTES)) for offer in offered]
    return requests


class Rates:
    """Requests per second of each round over so many connections, by what was asked, and what they cost the API."""

    def __init__(self, connections: int) -> None:
        self.connections = connections
        self.bare: list[float] = []
        self.api: list[float] = []
        self.store: list[float] = []
        self.cpu_us: list[float] = []

    def forget_first(self) -> None:
        """Throw the first round away."""
        for values in (self.bare, self.api, self.store, self.cpu_us):
            del values[:1]

    async def measure(self, upload: Upload, bare_port: int, first: int, count: int) -> None:
        """Send so many chunks, from number `first`, to the bare handler and to the API."""
        bare = [put_request(f"http://{HOST}:{bare_port}/chunk", bytes(CHUNK_BYTES))] * count
        self.bare.append(await requests_per_second(HOST, bare_port, bare, self.connections))
        before_s = cpu_s(upload.server.pid)
        requests = chunk_requests(upload.template, first, count)
        self.api.append(await requests_per_second(HOST, upload.server.port, requests, self.connections))
        self.cpu_us.append((cpu_s(upload.server.pid) - before_s) / count * 1e6)

    async def measure_store(self, upload: Upload, endpoint: str, count: int) -> None:
        """Send so many chunks to the store, past the API."""
        where = urlsplit(endpoint)
        assert where.hostname is not None
        assert where.port is not None
        direct = await asyncio.to_thread(direct_requests, upload, count)
        self.store.append(await requests_per_second(where.hostname, where.port, direct, self.connections))


async def measure(stack: Stack, bare_port: int, rounds: int, count: int, *, store: bool) -> list[Rates]:
    """Interleave all; the first round is thrown away."""
    await answering(bare_port)
    upload = await asyncio.to_thread(opened, stack)
    measured = [Rates(connections) for connections in CONNECTIONS]
    for number, (_, rates) in enumerate(product(range(rounds + 1), measured)):
        await rates.measure(upload, bare_port, number * count + 1, count)
        if store:
            await rates.measure_store(upload, stack.store.endpoint, count)
    for rates in measured:
        rates.forget_first()
    return measured


def report(name: str, measured: Sequence[Rates]) -> None:
    """Print the rates and the ratios."""
    for rates in measured:
        ratio = Figures([api / bare for api, bare in zip(rates.api, rates.bare, strict=True)])
        print(f"  {name}, {rates.connections} connections: {Figures(rates.api):.0f}/s; bare handler {Figures(rates.bare):.0f}/s")
        print(f"    ratio {ratio:.2f} (goal {GOAL}); {Figures(rates.cpu_us):.0f} us of the API's CPU each")
        if rates.store:
            near = Figures([api / store for api, store in zip(rates.api, rates.store, strict=True)])
            print(f"    the object store alone: {Figures(rates.store):.0f}/s; with the API before it {near:.2f} of that")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1500)
    arguments = parser.parse_args()
    print(f"chunk PUTs of {CHUNK_BYTES // 1024} KiB per second")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, peer("bench.bare_handler") as bare:
        with peer("bench.s3_sink") as sink:
            uvloop.run(answering(sink.port))
            dropping = Stack(new_plan(), Path(folder) / "sink", extra={"EARWITNESS_S3_ENDPOINT": f"http://{HOST}:{sink.port}"})
            report("API, store that drops", _measured(dropping, bare, arguments, store=False))
        real = Stack(new_plan(), Path(folder) / "real")
        report("API and object store", _measured(real, bare, arguments, store=True))


def _measured(stack: Stack, bare: Peer, arguments: argparse.Namespace, *, store: bool) -> list[Rates]:
    try:
        stack.start_servers()
        stack.services["ingest"].start()
        return uvloop.run(measure(stack, bare.port, arguments.rounds, arguments.requests, store=store))
    finally:
        stack.stop()


if __name__ == "__main__":
    main()
