"""Configuration of a project: what it says about a section, and what counts (contract section 16)."""

from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from services.ingest.ports import ConfigStore
from services.ingest.refusals import InvalidRequest, NotFound, not_found
from services.ingest.start_transcription import accepted_language, refuse_unless_configured
from services.ingest.strict_json import invalid
from shared.domain.caller import Caller
from shared.domain.config import SECTIONS, ConfigLevel, ProcessingConfig, Section, merged
from shared.domain.transcription import ProviderName


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A section as it counts; `source` is the most specific level that says something about it."""

    value: dict[str, Any]
    source: ConfigLevel
    section: Section


class Configure:
    """Reads and changes sections of the caller's own project."""

    def __init__(self, configs: ConfigStore, providers: AbstractSet[ProviderName]) -> None:
        self._configs, self._providers = configs, providers

    async def get(self, caller: Caller, project_id: str, section: str) -> Resolved:
        """Return the section as it counts."""
        known = _section(caller, project_id, section)
        override = await self._configs.get(ConfigLevel.PROJECT, project_id, section)
        return _resolved(known, override)

    async def put(self, caller: Caller, project_id: str, section: str, value: dict[str, Any]) -> Resolved:
        """Merge `value` into what the project says; what it does not name stays as it was."""
        known = _section(caller, project_id, section)
        present = await self._configs.get(ConfigLevel.PROJECT, project_id, section)
        override = merged(present or {}, _known_part(value, known.defaults))
        resolved = _resolved(known, override)
        self._check(known, resolved.value)
        await self._configs.put(ConfigLevel.PROJECT, project_id, section, override)
        return resolved

    async def reset(self, caller: Caller, project_id: str, section: str) -> None:
        """Forget what the project says; doing it again changes nothing."""
        _section(caller, project_id, section)
        await self._configs.remove(ConfigLevel.PROJECT, project_id, section)

    def _check(self, section: Section, value: dict[str, Any]) -> None:
        try:
            config = msgspec.convert(value, section.form)
        except msgspec.ValidationError as error:
            raise invalid(error) from error
        if isinstance(config, ProcessingConfig):
            auto = config.auto_transcription
            refuse_unless_configured(auto.provider, self._providers, param="auto_transcription.provider")
            if accepted_language(auto.provider, auto.language) != auto.language:
                raise InvalidRequest(f"{auto.provider} spells that language otherwise", param="auto_transcription.language")


def _section(caller: Caller, project_id: str, section: str) -> Section:
    if project_id != caller.tenant.project_id:
        raise not_found("project", project_id)
    known = SECTIONS.get(section)
    if known is None:
        raise NotFound(f"there is no section {section[:80]}")
    return known


def _resolved(section: Section, override: dict[str, Any] | None) -> Resolved:
    source = ConfigLevel.DEFAULT if override is None else ConfigLevel.PROJECT
    return Resolved(value=merged(section.defaults, override or {}), source=source, section=section)


def _known_part(value: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return `value` without keys that the section does not have; those are passed over as in any body."""
    known: dict[str, Any] = {}
    for key, item in value.items():
        if key in defaults:
            both = isinstance(item, dict) and isinstance(defaults[key], dict)
            known[key] = _known_part(item, defaults[key]) if both else item
    return known
