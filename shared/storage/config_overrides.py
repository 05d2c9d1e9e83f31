"""The `config_overrides` collection, what each subject says about each section, and `config_audit`, how it came to say so.

A change and its record are written in one update of one document: the record goes into the override's `unfiled` array and is
copied to `config_audit` from there, so that no crash parts the two. `config_audit` is only ever added to, but for the erasure of
all that a subject ever said.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.config.levels import ConfigSubject
from shared.domain.config.overrides import ConfigChange, ConfigOverride
from shared.domain.errors import AlreadyExists
from shared.domain.transition import VersionConflict
from shared.storage.documents import Documents, to_builtins
from shared.storage.mongo import Mongo

_BY_ID = (("_id", ASCENDING),)


class ConfigOverrides:
    """Overrides by subject and section; the id of a document is made of the two."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["config_overrides"], ConfigOverride)
        self._audit = Documents(mongo.database["config_audit"], ConfigChange)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._audit.ensure_indexes((IndexModel([("override_id", ASCENDING), ("_id", DESCENDING)], name="history"),))

    async def of(self, subjects: Sequence[ConfigSubject], sections: Iterable[str]) -> list[ConfigOverride]:
        """Return what the subjects say about the sections, those that were reset included, in one query."""
        ids = [subject.key(section) for section in sections for subject in subjects]
        return await self._documents.find({"_id": {"$in": ids}}, _BY_ID, len(ids))

    async def save(self, before: ConfigOverride, after: ConfigOverride, change: ConfigChange) -> None:
        """Replace `before` by `after` together with the record of it; raises `VersionConflict` when it was overtaken."""
        record = to_builtins(change)
        if not before.version:
            try:
                await self._documents.insert(after, unfiled=[record])
            except AlreadyExists as error:
                raise VersionConflict(after.id) from error
            return
        fields = to_builtins(after)
        update = {"$set": {name: fields[name] for name in ("value", "version", "updated_at")}, "$push": {"unfiled": record}}
        if not await self._documents.update({"_id": before.id, "version": before.version}, update):
            raise VersionConflict(after.id)

    async def file(self, override_id: str) -> None:
        """Copy to `config_audit` every change that is not yet there; doing it again, or at the same time, adds nothing."""
        for override in await self._documents.project({"_id": override_id}, ("unfiled",), None, 1):
            records: list[dict[str, Any]] = override.get("unfiled", [])
            if records:
                await self._audit.insert_new(records)
                filed = {"_id": {"$in": [record["_id"] for record in records]}}
                await self._documents.update({"_id": override_id}, {"$pull": {"unfiled": filed}})

    async def erase(self, subject: ConfigSubject, sections: Iterable[str]) -> None:
        """Delete what the subject says about the sections, and how it came to say so; doing it again changes nothing."""
        ids = [subject.key(section) for section in sections]
        await self._documents.delete_many({"_id": {"$in": ids}})
        await self._audit.delete_many({"override_id": {"$in": ids}})

    async def history(
        self, subject: ConfigSubject, section: str, limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[ConfigChange]:
        """Return the changes of what the subject says about the section, newest first, those of ids below `before` if given."""
        override_id = subject.key(section)
        await self.file(override_id)
        return await self._audit.page({"override_id": override_id}, limit, before=before, offset=offset)
