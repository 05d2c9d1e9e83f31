"""What configuration needs from the outside."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from shared.domain.config.levels import ConfigSubject
from shared.domain.config.overrides import ConfigChange, ConfigOverride


class ConfigStore(Protocol):
    """What subjects say about sections, and how they came to say so."""

    async def of(self, subjects: Sequence[ConfigSubject], sections: Iterable[str]) -> list[ConfigOverride]:
        """Return what the subjects say about the sections, those that were reset included."""

    async def save(self, before: ConfigOverride, after: ConfigOverride, change: ConfigChange) -> None:
        """Replace `before` by `after` together with the record of it; raises `VersionConflict`."""

    async def file(self, override_id: str) -> None:
        """Copy to the audit every change that is not yet there."""

    async def erase(self, subject: ConfigSubject, sections: Iterable[str]) -> None:
        """Delete what the subject says about the sections, and every record of it."""

    async def history(
        self, subject: ConfigSubject, section: str, limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[ConfigChange]:
        """Return every change, newest first, those of ids below `before` if given."""
