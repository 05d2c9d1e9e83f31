"""A bounded stream of small recordings by devices that do not give up, with account of what was acknowledged."""

import asyncio
import itertools
from typing import Self

from tests.e2e.audio import tone
from tests.e2e.client import Project
from tests.e2e.evidence import Evidence
from tests.e2e.watching import completed

PACE_S = 0.4  # between two recordings, however many are still on their way
CHUNKS = 3


class Load:
    """From `async with` to its end a new recording begins every `PACE_S` seconds; each is seen through to its finalize."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._devices: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._tones = itertools.count()
        self.acknowledged: dict[str, list[int]] = {}
        self._pacing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._pacing = asyncio.create_task(self._pace())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        assert self._pacing is not None
        await self._pacing
        await asyncio.gather(*self._devices)

    async def goes_on(self, count: int) -> None:
        """Return when so many more recordings are finalized."""
        wanted = len(self.acknowledged) + count
        async with asyncio.timeout(90):
            while len(self.acknowledged) < wanted:
                await asyncio.sleep(0.02)

    async def assert_all_there(self, evidence: Evidence) -> None:
        """Every finalized recording completes and holds every chunk that was acknowledged, in its place."""
        for recording_id, tones in self.acknowledged.items():
            await completed(self._project, recording_id)
            assert await evidence.tones(recording_id) == tones

    async def _pace(self) -> None:
        while not self._stopping.is_set():
            self._devices.append(asyncio.create_task(self._record()))
            try:
                await asyncio.wait_for(self._stopping.wait(), PACE_S)
            except TimeoutError:
                continue

    async def _record(self) -> None:
        recording = await self._project.open()
        tones = [next(self._tones) for _ in range(CHUNKS)]
        await self._project.put_chunks(recording, {number: tone(one) for number, one in enumerate(tones, 1)})
        answer = await self._project.finalize(recording["id"], CHUNKS)
        assert answer.status == 200, answer.body
        self.acknowledged[recording["id"]] = tones
