"""Chunk PUTs per second at 128 KiB through the API, against a bare Litestar handler that reads the body and drops it.

`python -m bench.chunks [--rounds 5] [--requests 400]`. Two figures: with the object store on the same cores, which is what a
small installation sees, and with a store that drops what it gets, which is what the API itself costs. Both with the CPU time of
the API's process, which tells more than rates on a busy machine. The rounds of all three are interleaved; each chunk is
acknowledged only after the store's answer.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

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


def chunk_template(stack: Stack) -> str:
    """Open a streaming recording and return where its chunks go."""
    _, key = new_project(stack.api_url, stack.plan.admin_token, "bench")
    api = Api(stack.api_url, key)
    opened = api.post("/v1/recordings", {"end_user_id": end_user(api, "bench"), "streaming": True})
    return str(opened["chunk_upload_url_template"])


def chunk_requests(template: str, first: int, count: int) -> list[bytes]:
    """Return PUTs of chunks `first` and up."""
    body = bytes(CHUNK_BYTES)
    return [put_request(template.replace("{chunk_number}", str(number)), body) for number in range(first, first + count)]


class Rates:
    """Requests per second of each round, by what was asked."""

    def __init__(self) -> None:
        self.bare: list[float] = []
        self.real: list[float] = []
        self.sink: list[float] = []
        self.cpu: dict[str, list[float]] = {"API and object store": [], "API, store that drops": []}


async def measure(real: Stack, sink: Stack, bare_port: int, rounds: int, count: int) -> Rates:
    """Interleave the three; the first round is thrown away."""
    await answering(bare_port)
    bare = [put_request(f"http://{HOST}:{bare_port}/chunk", bytes(CHUNK_BYTES))] * count
    templates = {stack: await asyncio.to_thread(chunk_template, stack) for stack in (real, sink)}
    rates = Rates()
    for number in range(rounds + 1):
        first = number * count + 1
        rates.bare.append(await requests_per_second(HOST, bare_port, bare, CONNECTIONS))
        for stack, into, cpu in zip((real, sink), (rates.real, rates.sink), rates.cpu.values(), strict=True):
            requests = chunk_requests(templates[stack], first, count)
            api = api_of(stack)
            before_s = cpu_s(api.pid)
            into.append(await requests_per_second(HOST, api.port, requests, CONNECTIONS))
            cpu.append((cpu_s(api.pid) - before_s) / count * 1e6)
    for values in (rates.bare, rates.real, rates.sink, *rates.cpu.values()):
        del values[0]
    return rates


def report(rates: Rates) -> None:
    """Print the rates and the two ratios."""
    print(f"chunk PUTs of {CHUNK_BYTES // 1024} KiB per second, {CONNECTIONS} connections")
    print(f"  bare handler: {Figures(rates.bare):.0f}/s")
    for name, values in (("API and object store", rates.real), ("API, store that drops", rates.sink)):
        ratio = Figures([value / bare for value, bare in zip(values, rates.bare, strict=True)])
        cpu = f"; {Figures(rates.cpu[name]):.0f} us of the API's CPU each"
        print(f"  {name}: {Figures(values):.0f}/s; ratio {ratio:.2f} (goal {GOAL}){cpu}")


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
