"""Lists, filters and deep pages of a million recordings, against the same of a thousand in the same run.

`python -m bench.million [--recordings 1000000] [--rounds 3] [--requests 200]`. Two stacks, one with a project of a thousand
recordings, one with a project of a million, written past the API; the same requests to both, interleaved. The page far down is
10,000 recordings deep, reached by following cursors; with a thousand it is as deep as there is one.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import uvloop

from bench.figures import Figures
from bench.http_load import UNLIMITED, json_request, requests_per_second
from bench.recording_rows import device_id, rows, store
from deploy.local.api import Api, end_user, new_project
from deploy.local.plan import new_plan
from deploy.local.servers.ports import HOST
from deploy.local.stack import Stack
from shared.domain.clock import now
from shared.domain.tenant import Mode, Tenant

CONNECTIONS = 4
FEW = 1_000
DEEP = 10_000
PAGE = 100
GOAL = 1.5


class Project:
    """A project with so many recordings, in a stack of its own."""

    def __init__(self, stack: Stack, recordings: int) -> None:
        self._port = stack.services["ingest"].port
        project_id, self._key = new_project(stack.api_url, stack.plan.admin_token, "bench")
        self._tenant, self._api = Tenant(project_id, Mode.LIVE), Api(stack.api_url, self._key)
        self._someone = end_user(self._api, "bench")
        began = time.perf_counter()
        store(stack.mongo.url, rows(self._tenant, self._someone, recordings, now()))
        print(f"  {recordings:,} recordings stored in {time.perf_counter() - began:.0f} s", flush=True)
        cursor = self._cursor(min(DEEP, recordings - PAGE))
        self.queries: Mapping[str, str] = {
            "list": "limit=50",
            "of one status": "limit=50&status=failed",
            "of one device": f"limit=10&device_id={device_id(self._tenant, 7)}",
            "of one end user": f"limit=50&end_user_id={self._someone}",
            "deep": f"limit=50&cursor={cursor}",
        }

    def _cursor(self, depth: int) -> str:
        """Follow cursors so deep."""
        cursor = ""
        for _ in range(depth // PAGE):
            cursor = self._api.get(f"/v1/recordings?limit={PAGE}&cursor={cursor}")["next_cursor"]
        return cursor

    async def milliseconds(self, name: str, count: int) -> float:
        """Return how long one of `count` such requests took."""
        request = json_request("GET", f"http://{HOST}:{self._port}/v1/recordings?{self.queries[name]}", self._key)
        return CONNECTIONS * 1000 / await requests_per_second(HOST, self._port, [request] * count, CONNECTIONS)


async def measure(few: Project, many: Project, rounds: int, count: int) -> None:
    """Interleave both, throw the first round away, and print."""
    print(f"  {CONNECTIONS} connections, load of the machine {os.getloadavg()[0]:.1f}")
    for name in few.queries:
        times = [(await few.milliseconds(name, count), await many.milliseconds(name, count)) for _ in range(rounds + 1)][1:]
        ratio = Figures([long / short for short, long in times])
        short, long = Figures([short for short, _ in times]), Figures([long for _, long in times])
        print(f"  {name}: {long:.1f} ms; of a thousand {short:.1f} ms; ratio {ratio:.2f} (goal under {GOAL})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200)
    arguments = parser.parse_args()
    print(f"recordings by pages, {arguments.recordings:,} against {FEW:,}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stacks = [Stack(new_plan(), Path(folder) / name, extra=UNLIMITED) for name in ("few", "many")]
        try:
            for stack in stacks:
                stack.start_servers()
                stack.start_services("ingest")
            few, many = (Project(stack, count) for stack, count in zip(stacks, (FEW, arguments.recordings), strict=True))
            uvloop.run(measure(few, many, arguments.rounds, arguments.requests))
        finally:
            for stack in stacks:
                stack.finish()


if __name__ == "__main__":
    main()
