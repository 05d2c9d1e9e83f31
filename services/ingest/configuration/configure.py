"""Configuration of one subject: what counts for it, what it says itself, and how it came to say so (contract section 16)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from services.ingest.configuration.ports import ConfigStore
from services.ingest.configuration.targets import Target
from services.ingest.configuration.validity import checked, refuse_repeated, refuse_unworkable, section_of, spoken_of
from services.ingest.outbox import decided_anew
from services.ingest.paging import OPERATOR, Page, Pager, PageRequest
from services.ingest.providers import ConfiguredProviders
from shared.domain.config.levels import ConfigLevel, ConfigSubject
from shared.domain.config.merging import amended
from shared.domain.config.overrides import Author, ConfigChange, Resolved, resolved, silent
from shared.domain.config.sections import SECTIONS
from shared.domain.errors import TransientFailure
from shared.domain.provider_key import ON_THE_NETWORK
from shared.domain.tenant import Tenant
from shared.telemetry.logs import get_logger

log = get_logger()
T = TypeVar("T")


class Configure:
    """Reads and changes what one subject says; every change is recorded with it, in one write."""

    def __init__(self, configs: ConfigStore, pager: Pager, providers: ConfiguredProviders) -> None:
        self._configs, self._pager, self._providers = configs, pager, providers
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, target: Target, section: str) -> Resolved:
        """Return the section as it counts for the subject."""
        known = section_of(section)
        return resolved(known, await self._configs.of(target.subjects, (known.name,)))

    async def read_all(self, target: Target) -> list[Resolved]:
        """Return every section as it counts for the subject."""
        overrides = await self._configs.of(target.subjects, SECTIONS)
        return [resolved(section, overrides) for section in SECTIONS.values()]

    async def change(self, target: Target, section: str, body: dict[str, Any]) -> Resolved:
        """Add `body` to what the subject says and return what counts then; what the body does not name stays as it was.

        Changes at the same moment come one after the other. One that leaves everything as it is, such as a repeat, writes
        nothing.
        """
        known = spoken_of(target, section)
        said = checked(known, body)

        async def attempt() -> Resolved:
            overrides = await self._configs.of(target.subjects, (known.name,))
            before = next((item for item in overrides if item.level is target.subject.level), silent(target.subject, known.name))
            value = amended(before.value or {}, said)
            after, change = before.changed(value, _author(target))
            result = resolved(known, [*(item for item in overrides if item.level is not after.level), after])
            present = resolved(known, overrides)
            refuse_repeated(present, said)
            refuse_unworkable(present, result, said, await self._providers.of(target.subject.tenant, ON_THE_NETWORK))
            if value == (before.value or {}):
                return present
            await self._configs.save(before, after, change)
            return result

        return await self._in_turn(target.subject.key(known.name), attempt)

    async def reset(self, target: Target, section: str) -> None:
        """Forget what the subject says; doing it again changes nothing."""
        known = spoken_of(target, section)

        async def attempt() -> None:
            for before in await self._configs.of((target.subject,), (known.name,)):
                if before.value is not None:
                    after, change = before.changed(None, _author(target))
                    await self._configs.save(before, after, change)

        await self._in_turn(target.subject.key(known.name), attempt)

    async def erase(self, tenant: Tenant, end_user_id: str) -> None:
        """Delete all that an end user who is deleted ever said, and the records of it; nobody can read either any more."""
        await self._configs.erase(ConfigSubject(ConfigLevel.END_USER, end_user_id, tenant), SECTIONS)

    async def history(self, target: Target, section: str, request: PageRequest) -> Page[ConfigChange]:
        """Return a page of the changes of what the subject says about the section, newest first."""
        known = spoken_of(target, section)

        async def read(limit: int, before: str | None, offset: int) -> list[ConfigChange]:
            return await self._configs.history(target.subject, known.name, limit, before=before, offset=offset)

        tenant = target.subject.tenant or OPERATOR
        return await self._pager.page(tenant, f"config:{target.subject.key(known.name)}", request, read)

    async def _in_turn(self, override_id: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run `attempt` after those of this replica that came before; those of others are found out when it saves."""
        async with self._turns.setdefault(override_id, asyncio.Lock()):
            result = await decided_anew(attempt)
        await self._file(override_id)
        return result

    async def _file(self, override_id: str) -> None:
        try:
            await self._configs.file(override_id)
        except TransientFailure as failure:  # the change stands with its record; whoever comes next files it
            log.warning("config.change_not_filed", override_id=override_id, error=type(failure).__name__)


def _author(target: Target) -> Author:
    asker = target.asker
    credential_id = None if asker.caller is None else asker.caller.credential_id
    return Author(kind=asker.kind, credential_id=credential_id, request_id=asker.request_id)
