"""The part of `upload_security` that the API itself obeys: where uploads have to be encrypted, plain ones are not begun."""

import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from services.ingest.configuration.ports import ConfigStore
from services.ingest.ports import OwnerLookup
from services.ingest.refusals import EncryptionRequired
from shared.domain.config.forms import UploadSecurityConfig
from shared.domain.config.levels import lineage
from shared.domain.config.overrides import resolved
from shared.domain.config.sections import SECTIONS
from shared.domain.tenant import Tenant

_SECTION = SECTIONS["upload_security"]
_MOST_REMEMBERED = 10_000

Key = tuple[Tenant, str | None]


class _Remembered(msgspec.Struct, frozen=True):
    plain: bool
    until: float


class UploadPolicy:
    """Knows for whom plain uploads are taken. What was read holds for `cache_s` seconds, so a change is felt within that."""

    def __init__(
        self, configs: ConfigStore, projects: OwnerLookup, cache_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._configs, self._projects, self._cache_s, self._clock = configs, projects, cache_s, clock
        self._remembered: OrderedDict[Key, _Remembered] = OrderedDict()

    async def __call__(self, tenant: Tenant, device_id: str | None) -> None:
        """Raise `EncryptionRequired` where the device, its project or its organization says `v2_required`."""
        key = (tenant, device_id)
        known = self._remembered.get(key)
        plain = known.plain if known is not None and known.until > self._clock() else await self._read_anew(key, known)
        if not plain:
            raise EncryptionRequired("uploads have to be encrypted here (upload_security), and this API takes plain ones only")

    async def _read_anew(self, key: Key, known: _Remembered | None) -> bool:
        """Read and remember; requests that come meanwhile go by what was known before, if anything was."""
        if known is not None:
            self._remember(key, known.plain)
        try:
            plain = await self._takes_plain(*key)
        except BaseException:
            self._remembered.pop(key, None)
            raise
        self._remember(key, plain)
        return plain

    async def _takes_plain(self, tenant: Tenant, device_id: str | None) -> bool:
        organization_id = await self._projects.organization_of(tenant.project_id)
        subjects = lineage(organization_id, tenant, device_id=device_id)
        found = resolved(_SECTION, await self._configs.of(subjects, (_SECTION.name,)))
        return msgspec.convert(found.value, UploadSecurityConfig).encrypted_upload_policy != "v2_required"

    def _remember(self, key: Key, plain: bool) -> None:
        self._remembered[key] = _Remembered(plain, self._clock() + self._cache_s)
        self._remembered.move_to_end(key)
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
