"""The servers that ours is measured against, and what a server's process costs."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.local.chores import ROOT
from deploy.local.servers.ports import HOST, free_port
from deploy.local.stack import Stack

START_S = 60.0


class Peer(NamedTuple):
    """A running server."""

    port: int
    pid: int


@contextmanager
def peer(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Peer]:
    """Run a module of this folder as a server on a free port, which is its first argument; `environment` is added to ours."""
    port = free_port()
    command = [sys.executable, "-m", module, str(port), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environment or {})})
    try:
        yield Peer(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def api_of(stack: Stack) -> Peer:
    """Return the running API of a stack."""
    service = stack.services["ingest"]
    assert service.child.pid is not None
    return Peer(service.port, service.child.pid)


async def answering(port: int) -> None:
    """Return once something listens."""
    async with asyncio.timeout(START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used so far, by the kernel's clock of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
