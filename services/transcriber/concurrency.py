"""How many transcriptions of a project may run at once, as its configuration says; remembered for a moment."""

import time
from collections.abc import Callable

from services.transcriber.ports import ProcessingConfigs
from services.transcriber.unreadable_configs import tell_of_unreadable
from shared.domain.config.overrides import ConfigUnreadable
from shared.domain.tenant import Tenant

_REMEMBERED_S = 5.0
_MOST_REMEMBERED = 10_000


class ProjectLimits:
    """Limits by tenant; 0 is any number. A change is felt within five seconds.

    Where it cannot be read it is one: that keeps to every limit there can be, and holds nothing up for good.
    """

    def __init__(self, configs: ProcessingConfigs, clock: Callable[[], float] = time.monotonic) -> None:
        self._configs, self._clock = configs, clock
        self._known: dict[Tenant, tuple[int, float]] = {}

    async def __call__(self, tenant: Tenant) -> int:
        """Return the tenant's limit."""
        limit, until = self._known.get(tenant, (0, 0.0))
        if until <= self._clock():
            limit = await self._read(tenant)
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[tenant] = limit, self._clock() + _REMEMBERED_S
        return limit

    async def _read(self, tenant: Tenant) -> int:
        try:
            return (await self._configs.processing(tenant)).max_concurrent_transcriptions
        except ConfigUnreadable as error:
            tell_of_unreadable(error, tenant)
            return 1
