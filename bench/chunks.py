"""Chunk PUTs per second at 128 KiB through the API, against a bare Litestar handler that reads the body and drops it.

`python -m bench.chunks [--rounds 5] [--requests 400]`. Two figures: with the object store on the same cores, which is what a
small installation sees, and with a store that drops what it gets, which is what the API itself costs. Both with the CPU time of
the API's process, which tells more than rates on a busy machine. Beside the first, what the store alone takes of the same client
by pre-signed URLs: no API before it can be faster. All rounds are interleaved; each chunk is acknowledged only after the store's
answer.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.figures import Figures
from bench.http_load import put_request, requests_per_second
from bench.peers import answering, api_of, cpu_s, peer
from deploy.local.api import Api, end_user, new_project
from deploy.local.plan import new_plan
from deploy.local.servers.ports import HOST
from deploy.local.stack import Stack

CHUNK_BYTES = 128 * 1024
CONNECTIONS = 16
GOAL = 0.5
MOST_URLS = 1000  # in one answer


class Upload(NamedTuple):
    """An open streaming recording and where its chunks go."""

    api: Api
    recording_id: str
    template: str


def opened(stack: Stack) -> Upload:
    """Open a streaming recording."""
    _, key = new_project(stack.api_url, stack.plan.admin_token, "bench")
    api = Api(stack.api_url, key)
    recording = api.post("/v1/recordings", {"end_user_id": end_user(api, "bench"), "streaming": True})
    return Upload(api, recording["id"], recording["chunk_upload_url_template"])


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
    """Requests per second of each round, by what was asked."""

    def __init__(self) -> None:
        self.bare: list[float] = []
        self.store: list[float] = []
        self.real: list[float] = []
        self.sink: list[float] = []
        self.cpu: dict[str, list[float]] = {"API and object store": [], "API, store that drops": []}


async def measure(real: Stack, sink: Stack, bare_port: int, rounds: int, count: int) -> Rates:
    """Interleave all; the first round is thrown away."""
    await answering(bare_port)
    bare = [put_request(f"http://{HOST}:{bare_port}/chunk", bytes(CHUNK_BYTES))] * count
    uploads = {stack: await asyncio.to_thread(opened, stack) for stack in (real, sink)}
    rates = Rates()
    for number in range(rounds + 1):
        first = number * count + 1
        rates.bare.append(await requests_per_second(HOST, bare_port, bare, CONNECTIONS))
        rates.store.append(await _rate_of_store(real, await asyncio.to_thread(direct_requests, uploads[real], count)))
        for stack, into, cpu in zip((real, sink), (rates.real, rates.sink), rates.cpu.values(), strict=True):
            requests = chunk_requests(uploads[stack].template, first, count)
            api = api_of(stack)
            before_s = cpu_s(api.pid)
            into.append(await requests_per_second(HOST, api.port, requests, CONNECTIONS))
            cpu.append((cpu_s(api.pid) - before_s) / count * 1e6)
    for values in (rates.bare, rates.store, rates.real, rates.sink, *rates.cpu.values()):
        del values[0]
    return rates


async def _rate_of_store(stack: Stack, requests: list[bytes]) -> float:
    where = urlsplit(stack.store.endpoint)
    assert where.hostname is not None
    assert where.port is not None
    return await requests_per_second(where.hostname, where.port, requests, CONNECTIONS)


def report(rates: Rates) -> None:
    """Print the rates and the two ratios."""
    print(f"chunk PUTs of {CHUNK_BYTES // 1024} KiB per second, {CONNECTIONS} connections")
    print(f"  bare handler: {Figures(rates.bare):.0f}/s")
    for name, values in (("API and object store", rates.real), ("API, store that drops", rates.sink)):
        ratio = Figures([value / bare for value, bare in zip(values, rates.bare, strict=True)])
        cpu = f"; {Figures(rates.cpu[name]):.0f} us of the API's CPU each"
        print(f"  {name}: {Figures(values):.0f}/s; ratio {ratio:.2f} (goal {GOAL}){cpu}")
    near = Figures([real / store for real, store in zip(rates.real, rates.store, strict=True)])
    print(f"  the object store alone: {Figures(rates.store):.0f}/s; with the API before it {near:.2f} of that")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=400)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        peer("bench.bare_handler") as bare,
        peer("bench.s3_sink") as sink_server,
    ):
        asyncio.run(answering(sink_server.port))
        real = Stack(new_plan(), Path(folder) / "real")
        extra = {"EARWITNESS_S3_ENDPOINT": f"http://{HOST}:{sink_server.port}"}
        sink = Stack(new_plan(), Path(folder) / "sink", extra=extra)
        try:
            for stack in (real, sink):
                stack.start_servers()
                stack.services["ingest"].start()
            rates = asyncio.run(measure(real, sink, bare.port, arguments.rounds, arguments.requests))
        finally:
            real.stop()
            sink.stop()
    report(rates)


if __name__ == "__main__":
    main()
