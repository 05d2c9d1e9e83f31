"""Configuration as it counts for one recording, for services that act on it (contract 9.6, 16.1)."""

from collections.abc import Mapping

import msgspec

from shared.domain.config.forms import ProcessingConfig
from shared.domain.config.levels import lineage
from shared.domain.config.overrides import ConfigUnreadable, Resolved, resolved
from shared.domain.config.sections import SECTIONS
from shared.domain.tenant import Tenant
from shared.storage.config_overrides import ConfigOverrides
from shared.storage.mongo import Mongo
from shared.storage.projects import Projects


class EffectiveConfigs:
    """Sections as they count over every level, read anew each time."""

    def __init__(self, mongo: Mongo) -> None:
        self._overrides, self._projects = ConfigOverrides(mongo), Projects(mongo)

    async def processing(
        self, tenant: Tenant, *, end_user_id: str | None = None, device_id: str | None = None
    ) -> ProcessingConfig:
        """Return the `processing` section; raises `ConfigUnreadable`."""
        try:
            found = await self._resolved("processing", tenant, {"end_user_id": end_user_id, "device_id": device_id})
            return msgspec.convert(found.value, ProcessingConfig)
        except msgspec.ValidationError as error:
            raise ConfigUnreadable(str(error)) from error

    async def _resolved(self, section: str, tenant: Tenant, owners: Mapping[str, str | None]) -> Resolved:
        subjects = lineage(await self._projects.organization_of(tenant.project_id), tenant, **owners)
        return resolved(SECTIONS[section], await self._overrides.of(subjects, (section,)))
