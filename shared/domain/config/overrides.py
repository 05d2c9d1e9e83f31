"""What one subject says about one section, the record of each change of it, and what counts when all levels are heard."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.domain.clock import now
from shared.domain.config.levels import ConfigLevel, ConfigSubject
from shared.domain.config.sections import Section
from shared.domain.ids import later_derived_id

_STEP = timedelta(milliseconds=1)
_LEVELS = list(ConfigLevel)


class ConfigUnreadable(Exception):
    """What is said about a section is in no form that this release knows: a newer one wrote it, or a hand changed it."""


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who changed something: the kind of credential and its id (None for the operator's token), and in which request."""

    kind: str
    credential_id: str | None
    request_id: str


class ConfigChange(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """One change: what the subject said before and after (None: nothing). Ids of one override's changes ascend."""

    id: str
    override_id: str
    version: int
    level: ConfigLevel
    subject_id: str
    section: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    by: Author
    changed_at: datetime


class ConfigOverride(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """What one subject says about one section; `value` is None once it has been reset. `version` grows with every change."""

    id: str
    level: ConfigLevel
    subject_id: str
    section: str
    value: dict[str, Any] | None = None
    version: int = 0
    created_at: datetime
    updated_at: datetime

    def changed(self, value: dict[str, Any] | None, by: Author) -> "tuple[ConfigOverride, ConfigChange]":
        """Return the next version, and the record of how it came about; its time is later than that of the change before."""
        at = max(now(), self.updated_at + _STEP) if self.version else self.updated_at
        after = msgspec.structs.replace(self, value=value, version=self.version + 1, updated_at=at)
        change = ConfigChange(
            id=later_derived_id("cfg", int(at.timestamp() * 1000), self.id, after.version),
            override_id=self.id,
            version=after.version,
            level=self.level,
            subject_id=self.subject_id,
            section=self.section,
            before=self.value,
            after=value,
            by=by,
            changed_at=at,
        )
        return after, change


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A section as it counts; `source` is the most specific level that says something about it."""

    section: Section
    value: dict[str, Any]
    source: ConfigLevel


def silent(subject: ConfigSubject, section: str) -> ConfigOverride:
    """Return the override of a subject that has never said anything about the section."""
    at = now()
    return ConfigOverride(
        id=subject.key(section), level=subject.level, subject_id=subject.id, section=section, created_at=at, updated_at=at
    )


def resolved(section: Section, overrides: Iterable[ConfigOverride]) -> Resolved:
    """Return the section as it counts when every override of it is heard, general before specific; the rest is default."""
    value, source = section.defaults, ConfigLevel.DEFAULT
    heard = [override for override in overrides if override.section == section.name and override.value is not None]
    for override in sorted(heard, key=lambda override: _LEVELS.index(override.level)):
        value, source = section.combined(value, override.value or {}), override.level
    return Resolved(section=section, value=section.complete(value), source=source)
