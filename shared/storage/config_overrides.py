"""The `config_overrides` collection: what organizations and projects say about each section."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.domain.clock import now
from shared.domain.config import SECTIONS, ConfigLevel, ConfigOverride, ProcessingConfig, merged
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo


class ConfigOverrides:
    """Overrides by level, subject and section; the id of a document is made of the three."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["config_overrides"], ConfigOverride)

    async def get(self, level: ConfigLevel, subject_id: str, section: str) -> dict[str, Any] | None:
        """Return what the subject itself says, None when nothing."""
        override = await self._documents.find_one({"_id": _id_of(level, subject_id, section)})
        return None if override is None else override.value

    async def put(self, level: ConfigLevel, subject_id: str, section: str, value: Mapping[str, Any]) -> None:
        """Set what the subject says, replacing what it said before."""
        at = now()
        first = {"level": level.value, "subject_id": subject_id, "section": section, "created_at": at}
        change = {"$set": {"value": dict(value), "updated_at": at}, "$setOnInsert": first}
        await self._documents.update({"_id": _id_of(level, subject_id, section)}, change, upsert=True)

    async def remove(self, level: ConfigLevel, subject_id: str, section: str) -> bool:
        """Forget what the subject says; return whether it said anything."""
        return await self._documents.delete({"_id": _id_of(level, subject_id, section)})

    async def resolved(self, project_id: str, section: str) -> dict[str, Any]:
        """Return the section as it counts for the project: the defaults, overridden by what the project says."""
        override = await self.get(ConfigLevel.PROJECT, project_id, section)
        return merged(SECTIONS[section].defaults, override or {})

    async def processing(self, project_id: str) -> ProcessingConfig:
        """Return the `processing` section as it counts for the project."""
        return msgspec.convert(await self.resolved(project_id, "processing"), ProcessingConfig)


def _id_of(level: ConfigLevel, subject_id: str, section: str) -> str:
    return f"{level}:{subject_id}:{section}"
