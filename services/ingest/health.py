"""The public health report (contract 0.3)."""

import asyncio

from shared.telemetry.health import Check

_PATIENCE_S = 2.0


class ReportHealth:
    """Asks the database, with little patience."""

    def __init__(self, check_database: Check) -> None:
        self._check_database = check_database

    async def __call__(self) -> tuple[bool, dict[str, str]]:
        """Return whether the service is healthy and the body that says so."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._check_database()
        except Exception:  # noqa: BLE001 - whatever is wrong with it, that is the answer
            return False, {"status": "unhealthy", "database": "disconnected", "billing": "disabled"}
        return True, {"status": "healthy", "database": "connected", "billing": "disabled"}
