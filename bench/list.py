"""`GET /v1/recordings?limit=50` per second, against a Litestar handler that returns fifty rows it has at hand, in the same run.

`python -m bench.list [--rounds 3] [--requests 500]`. Ours checks the key, counts the request, reads the rows from MongoDB and
shows them. The rounds of both are interleaved; the CPU time of each process is told too.
"""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

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

CONNECTIONS = 16
ROWS = 50
GOAL = 0.7


def prepare(stack: Stack, recordings: int) -> str:
    """Store so many recordings and return a key to them."""
    project_id, key = new_project(stack.api_url, stack.plan.admin_token, "bench")
    someone = end_user(Api(stack.api_url, key), "bench")
    store(stack.mongo.url, rows(Tenant(project_id, Mode.LIVE), someone, recordings, now()))
    return key


async def measure(servers: dict[str, Peer], key: str, rounds: int, count: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return rates and CPU times (microseconds) of each; the first round is thrown away."""
    figures: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in servers}
    for number in range(rounds + 1):
        for name, server in servers.items():
            request = json_request("GET", f"http://{HOST}:{server.port}/v1/recordings?limit={ROWS}", key)
            before_s = cpu_s(server.pid)
            rate = await requests_per_second(HOST, server.port, [request] * count, CONNECTIONS)
            if number:
                figures[name][0].append(rate)
                figures[name][1].append((cpu_s(server.pid) - before_s) / count * 1e6)
    return figures


def report(figures: dict[str, tuple[list[float], list[float]]]) -> None:
    """Print the rates, the CPU times and the ratios."""
    (rates, cpu_us), (its_rates, its_cpu_us) = figures["ours"], figures["empty"]
    ratio = Figures([mine / its for mine, its in zip(rates, its_rates, strict=True)])
    by_cpu = Figures([its / mine for mine, its in zip(cpu_us, its_cpu_us, strict=True)])
    print(f"lists of {ROWS} recordings per second, {CONNECTIONS} connections, load of the machine {os.getloadavg()[0]:.1f}")
    print(f"  empty handler: {Figures(its_rates):.0f}/s; {Figures(its_cpu_us):.0f} us of CPU each")
    print(f"  ours: {Figures(rates):.0f}/s; {Figures(cpu_us):.0f} us; ratio {ratio:.2f}, by CPU {by_cpu:.2f} (goal {GOAL})")


async def _measured(stack: Stack, empty: Peer, key: str, arguments: argparse.Namespace) -> None:
    await answering(empty.port)
    report(await measure({"empty": empty, "ours": api_of(stack)}, key, arguments.rounds, arguments.requests))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, peer("bench.empty_handlers") as empty:
        stack = Stack(new_plan(), Path(folder), extra=UNLIMITED)
        try:
            stack.start_servers()
            stack.start_services("ingest")
            asyncio.run(_measured(stack, empty, prepare(stack, 1000), arguments))
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
