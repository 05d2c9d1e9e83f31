"""The work on audio files in worker processes: a file that crashes a decoder kills a process, never the service."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from services.stitcher.digest import sha256_of
from services.stitcher.join import join_chunks
from services.stitcher.ports import Joined, Probed
from services.stitcher.probe import probe
from shared.workers.process_pool import ProcessPool


class Join(msgspec.Struct, frozen=True):
    """Join `chunks`, declared to last so long (0: not declared), into one file below `work`."""

    chunks: tuple[Path, ...]
    work: Path
    declared_ms: int


class Probe(msgspec.Struct, frozen=True):
    """Read what the file holds."""

    path: Path


class Hash(msgspec.Struct, frozen=True):
    """Hash the file with SHA-256."""

    path: Path


Task = Join | Probe | Hash
Outcome = Joined | Probed | str


def initialize() -> Callable[[Task, Callable[[object], None]], Outcome]:
    """Make a worker process ready: the decoders are loaded by importing this module."""
    return _work


def _work(task: Task, _report: Callable[[object], None]) -> Outcome:
    match task:
        case Join(chunks, work, declared_ms):
            return join_chunks(chunks, work, declared_ms)
        case Probe(path):
            return probe(path)
        case Hash(path):
            return sha256_of(path)


class AudioProcesses:
    """The `AudioWorker` over a pool of processes."""

    def __init__(self, pool: ProcessPool[Task, Outcome], time_limit_s: float) -> None:
        self._pool = pool
        self._time_limit_s = time_limit_s

    async def join(self, chunks: Sequence[Path], work: Path, declared_ms: int) -> Joined:
        """Join chunks, in order and declared to last so long, into one file below `work`."""
        outcome = await self._pool.run(Join(tuple(chunks), work, declared_ms), time_limit_s=self._time_limit_s)
        assert isinstance(outcome, Joined)
        return outcome

    async def probe(self, path: Path) -> Probed:
        """Read what a file holds."""
        outcome = await self._pool.run(Probe(path), time_limit_s=self._time_limit_s)
        assert isinstance(outcome, Probed)
        return outcome

    async def sha256(self, path: Path) -> str:
        """Hash a file."""
        outcome = await self._pool.run(Hash(path), time_limit_s=self._time_limit_s)
        assert isinstance(outcome, str)
        return outcome
