"""`GET /v1/recordings?limit=50` per second, against a Litestar handler that returns fifty rows it has at hand, in the same run.

`python -m bench.list [--rounds 3] [--requests 3000]`. Ours checks the key, counts the request, reads the rows from MongoDB and
shows them, over 16 and over 64 connections, each with one request under way; all ask for the same page, and those who ask at the
same moment share one look at it, as everybody who watches a list does. The rounds of both are interleaved; the CPU time of
each process is told too.
"""

import argparse
import os
import tempfile
from itertools import product
from pathlib import Path

import uvloop

from bench.figures import Figures
from bench.http_load import UNLIMITED, json_request, requests_per_second
from bench.peers import Peer, answering, api_of, cpu_s, peer
from bench.recording_rows import rows, store
from deploy.local.api import Api, end_user, new_project
from deploy.local.plan import new_plan
from deploy.local.servers.ports import HOST
from deploy.local.stack import Stack
from shared.domain.clock import now
from shared.domain.tenant import Mode, Tenant

CONNECTIONS = (16, 64)
ROWS = 50
GOAL = 0.7


def prepare(stack: Stack, recordings: int) -> str:
    """Store so many recordings and return a key to them."""
    project_id, key = new_project(stack.api_url, stack.plan.admin_token, "bench")
    someone = end_user(Api(stack.api_url, key), "bench")
    store(stack.mongo.url, rows(Tenant(project_id, Mode.LIVE), someone, recordings, now()))
    return key


class Server:
    """One of the two, with its rates and CPU times (microseconds) by connections."""

    def __init__(self, process: Peer) -> None:
        self.process = process
        self.rates: dict[int, list[float]] = {connections: [] for connections in CONNECTIONS}
        self.cpu_us: dict[int, list[float]] = {connections: [] for connections in CONNECTIONS}

    async def run(self, key: str, connections: int, count: int) -> None:
        """Ask for so many pages."""
        request = json_request("GET", f"http://{HOST}:{self.process.port}/v1/recordings?limit={ROWS}", key)
        before_s = cpu_s(self.process.pid)
        self.rates[connections].append(await requests_per_second(HOST, self.process.port, [request] * count, connections))
        self.cpu_us[connections].append((cpu_s(self.process.pid) - before_s) / count * 1e6)


async def measure(empty: Server, ours: Server, key: str, rounds: int, count: int) -> None:
    """Interleave the two; the first round is thrown away."""
    for _, connections, server in product(range(rounds + 1), CONNECTIONS, (empty, ours)):
        await server.run(key, connections, count)
    for server in (empty, ours):
        for figures in (*server.rates.values(), *server.cpu_us.values()):
            del figures[0]


def report(empty: Server, ours: Server) -> None:
    """Print the rates, the CPU times and the ratios."""
    print(f"lists of {ROWS} recordings per second, load of the machine {os.getloadavg()[0]:.1f}")
    for number in CONNECTIONS:
        rates, cpu_us, its_rates, its_cpu_us = ours.rates[number], ours.cpu_us[number], empty.rates[number], empty.cpu_us[number]
        ratio = Figures([mine / its for mine, its in zip(rates, its_rates, strict=True)])
        by_cpu = Figures([its / mine for mine, its in zip(cpu_us, its_cpu_us, strict=True)])
        print(f"  {number} connections, empty handler: {Figures(its_rates):.0f}/s; {Figures(its_cpu_us):.0f} us of CPU each")
        told = f"{Figures(rates):.0f}/s; {Figures(cpu_us):.0f} us"
        print(f"  {number} connections, ours: {told}; ratio {ratio:.2f}, by CPU {by_cpu:.2f} (goal {GOAL})")


async def _measured(stack: Stack, empty: Peer, key: str, arguments: argparse.Namespace) -> None:
    await answering(empty.port)
    its, ours = Server(empty), Server(api_of(stack))
    await measure(its, ours, key, arguments.rounds, arguments.requests)
    report(its, ours)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=3000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, peer("bench.empty_handlers") as empty:
        stack = Stack(new_plan(), Path(folder), extra=UNLIMITED)
        try:
            stack.start_servers()
            stack.start_services("ingest")
            uvloop.run(_measured(stack, empty, prepare(stack, 1000), arguments))
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
