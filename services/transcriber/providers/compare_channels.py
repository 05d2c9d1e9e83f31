"""Whether a file's channels are all the same, found out in a process that lives no longer than that."""

import asyncio
from pathlib import Path

from shared.domain.errors import TransientFailure
from shared.telemetry.logs import get_logger
from shared.workers import Entry, ProcessPool

log = get_logger()

CHANNELS = "services.transcriber.providers.channels"
_TIME_LIMIT_S = 120.0


class CompareChannels:
    """See the port; one file at a time, so that memory for one is enough."""

    def __init__(self, time_limit_s: float = _TIME_LIMIT_S) -> None:
        self._time_limit_s, self._one = time_limit_s, asyncio.Lock()

    async def __call__(self, path: Path) -> bool:
        """Say whether all channels are the same; one that breaks its reader down is not known to be."""
        async with self._one:
            pool: ProcessPool[Path, bool] = ProcessPool(Entry(CHANNELS, "initialize", None), size=1)
            try:
                await pool.start()
                return await pool.run(path, time_limit_s=self._time_limit_s)
            except TransientFailure as failure:
                log.warning("channels.not_compared", error=type(failure).__name__, reason=str(failure)[:200])
                return False
            finally:
                await pool.stop()
