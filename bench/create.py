"""`POST /v1/recordings` per second, against an empty Litestar handler, the same in FastAPI, and a ceiling, in the same run.

`python -m bench.create [--rounds 3] [--requests 1500]`. Ours checks the key, counts the request, checks the body, stores the
recording with its event in one journalled write, answers, and publishes the event; the ceiling does no more than write and
publish, with no key, check or framework. Three times: with one key; with the keys of ten replicas, none of which this replica
knows yet; and with the same keys again. The rounds of all servers are interleaved; the CPU time of each server's process is told
too, for it tells more than rates on a busy machine.

All of that over 16, 64 and 256 connections, each with one request under way. Over 16, a rate tells mostly how long the disk takes
to make a write safe, which an empty handler never waits for: 16 answers in the time of a write and a little are all there can be.
Over 64 and 256, writes carry more recordings, and the rate comes near to what the server's one thread can do. Where load,
database, broker and server share few cores, all rates tell of them all, and only the CPU time is the server's own.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvloop
from pymongo import MongoClient

from bench.fastapi_twin import DATABASE as TWIN_DATABASE
from bench.figures import Figures
from bench.http_load import UNLIMITED, json_request, requests_per_second
from bench.peers import Peer, answering, api_of, cpu_s, peer
from bench.recording_rows import DATABASE
from deploy.local.api import Api, end_user, new_project
from deploy.local.plan import new_plan
from deploy.local.servers.ports import HOST
from deploy.local.stack import Stack
from shared.domain.caller import ApiKey, KeyKind, new_secret
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.secret import secret_hint, secret_sha256
from shared.domain.tenant import Mode

CONNECTIONS = (16, 64, 256)
REPLICAS, KEYS_EACH = 10, 200
GOALS = {"empty": 0.6, "twin": 1.5}
ONE, COLD, WARM = "one key", "keys of ten replicas, cold", "keys of ten replicas, warm"


class Load(NamedTuple):
    """Whose keys are sent, over how many connections."""

    keys: str
    connections: int


LOADS = [Load(keys, connections) for connections in CONNECTIONS for keys in (ONE, COLD, WARM)]


class Server:
    """One of the four, with its figures by load."""

    def __init__(self, name: str, process: Peer) -> None:
        self.name, self.process = name, process
        self.rates: dict[Load, list[float]] = {load: [] for load in LOADS}
        self.cpu_us: dict[Load, list[float]] = {load: [] for load in LOADS}

    async def run(self, load: Load, keys: Sequence[str], body: bytes, count: int) -> None:
        """Send so many requests, with the keys in turn."""
        url = f"http://{HOST}:{self.process.port}/v1/recordings"
        requests = [json_request("POST", url, key, body) for key in islice(cycle(keys), count)]
        before_s = cpu_s(self.process.pid)
        self.rates[load].append(await requests_per_second(HOST, self.process.port, requests, load.connections))
        self.cpu_us[load].append((cpu_s(self.process.pid) - before_s) / count * 1e6)

    def forget_first(self) -> None:
        """Throw the first round away."""
        for figures in (*self.rates.values(), *self.cpu_us.values()):
            del figures[0]


class Customer:
    """A project with an end user, in our database and in the twin's, and as many keys as are asked for."""

    def __init__(self, stack: Stack) -> None:
        self._project_id, self.key = new_project(stack.api_url, stack.plan.admin_token, "bench")
        self.end_user_id = end_user(Api(stack.api_url, self.key), "bench")
        self._client: MongoClient[dict[str, Any]] = MongoClient(stack.mongo.url)
        twin = self._client[TWIN_DATABASE]
        twin["api_keys"].create_index("secret_sha256", unique=True)
        twin["end_users"].insert_one({"_id": self.end_user_id, "project_id": self._project_id})
        twin["api_keys"].insert_one(next(self._keys([self.key])))

    def new_keys(self, count: int) -> list[str]:
        """Return keys that no replica has seen; other replicas have within the last minute, as they say."""
        secrets = [new_secret(KeyKind.SECRET, Mode.LIVE) for _ in range(count)]
        for database in (DATABASE, TWIN_DATABASE):
            self._client[database]["api_keys"].insert_many(self._keys(secrets))
        return secrets

    def _keys(self, secrets: Sequence[str]) -> Iterator[dict[str, Any]]:
        for secret in secrets:
            key = ApiKey(
                id=new_id("key"),
                project_id=self._project_id,
                mode=Mode.LIVE,
                kind=KeyKind.SECRET,
                scopes=(),
                secret_sha256=secret_sha256(secret),
                hint=secret_hint(secret),
                created_at=now(),
                last_used_at=now(),
            )
            yield msgspec.to_builtins(key, builtin_types=(datetime,))

    def body(self) -> bytes:
        """Return what is posted."""
        fields = {
            "end_user_id": self.end_user_id,
            "streaming": True,
            "name": "Visit of the morning",
            "started_at": datetime.now(UTC).isoformat(),
            "source": "app_import",
            "metadata": {"room": 12, "language": "en", "tags": ["first", "ward"]},
        }
        return msgspec.json.encode(fields)


async def measure(servers: Sequence[Server], customer: Customer, rounds: int, count: int) -> None:
    """Interleave the servers; the first round is thrown away."""
    body = customer.body()
    for _, connections in product(range(rounds + 1), CONNECTIONS):
        for server in servers:
            await server.run(Load(ONE, connections), [customer.key], body, count)
        keys = await asyncio.to_thread(customer.new_keys, REPLICAS * KEYS_EACH)
        for load, server in product((Load(COLD, connections), Load(WARM, connections)), servers):
            await server.run(load, keys, body, len(keys))
    for server in servers:
        server.forget_first()


def report(ours: Server, peers: Sequence[Server]) -> None:
    """Print rates, CPU times and both ratios of each."""
    print(f"POST /v1/recordings per second, load of the machine {os.getloadavg()[0]:.1f}")
    for load in LOADS:
        told = f"{Figures(ours.rates[load]):.0f}/s; {Figures(ours.cpu_us[load]):.0f} us of CPU each"
        print(f"  {load.connections} connections, {load.keys}: {told}")
        for server in peers:
            rate = Figures([mine / its for mine, its in zip(ours.rates[load], server.rates[load], strict=True)])
            cpu = Figures([its / mine for mine, its in zip(ours.cpu_us[load], server.cpu_us[load], strict=True)])
            its_own = f"{Figures(server.rates[load]):.0f}/s, {Figures(server.cpu_us[load]):.0f} us"
            goal = f" (goal {GOALS[server.name]})" if server.name in GOALS else ""
            print(f"    {server.name}: {its_own}; ratio {rate:.2f}, by CPU {cpu:.2f}{goal}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=1500, help="of each round with one key")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stack = Stack(new_plan(), Path(folder), extra=UNLIMITED)
        try:
            stack.start_servers()
            stack.start_services("ingest")
            ours = stack.services["ingest"].environment()
            with (
                peer("bench.empty_handlers") as empty,
                peer("bench.fastapi_twin", stack.mongo.url) as twin,
                peer("bench.bare_create", environment=ours) as bare,
            ):
                uvloop.run(_measured(stack, {"empty": empty, "twin": twin, "ceiling": bare}, arguments))
        finally:
            stack.stop()


async def _measured(stack: Stack, processes: Mapping[str, Peer], arguments: argparse.Namespace) -> None:
    ours = Server("ours", api_of(stack))
    peers = [Server(name, process) for name, process in processes.items()]
    for server in peers:
        await answering(server.process.port)
    customer = await asyncio.to_thread(Customer, stack)
    await measure([*peers, ours], customer, arguments.rounds, arguments.requests)
    report(ours, peers)


if __name__ == "__main__":
    main()
