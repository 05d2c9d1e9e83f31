"""Configuration in memory: the same promises as `shared.storage.config_overrides`."""

from shared.domain.config.overrides import Author, silent
from shared.domain.errors import TransientFailure
from shared.domain.transition import VersionConflict

BY = Author(kind="secret_key", credential_id="key_1", request_id="req_1")


async def say(configs, subject, section, value):
    """Save one change, fake or real, without filing it; returns the override and the change."""
    present = await configs.of((subject,), (section,))
    before = present[0] if present else silent(subject, section)
    after, change = before.changed(value, BY)
    await configs.save(before, after, change)
    return after, change


class FakeConfigs:
    """Overrides and their audit; `down` makes reading fail, `audit_down` filing.

    Reading waits for `reading`, if it is set; `overtaking` runs once before the next save.
    """

    def __init__(self):
        self.overrides = {}
        self.unfiled = {}
        self.audit = {}
        self.down = self.audit_down = False
        self.reading = None
        self.overtaking = None

    async def of(self, subjects, sections):
        if self.reading is not None:
            await self.reading.wait()
        if self.down:
            raise TransientFailure("the database is down")
        wanted = sorted(subject.key(section) for section in sections for subject in subjects)
        return [self.overrides[key] for key in wanted if key in self.overrides]

    async def save(self, before, after, change):
        if self.overtaking is not None:
            overtaking, self.overtaking = self.overtaking, None
            await overtaking()
        present = self.overrides.get(before.id)
        if (present.version if present else 0) != before.version:
            raise VersionConflict(before.id)
        self.overrides[after.id] = after
        self.unfiled.setdefault(after.id, []).append(change)

    async def file(self, override_id):
        if self.audit_down:
            raise TransientFailure("the audit is down")
        self.audit |= {change.id: change for change in self.unfiled.pop(override_id, ())}

    async def erase(self, subject, sections):
        ids = {subject.key(section) for section in sections}
        for kept in (self.overrides, self.unfiled):
            for override_id in ids & kept.keys():
                del kept[override_id]
        self.audit = {change.id: change for change in self.audit.values() if change.override_id not in ids}

    async def history(self, subject, section, limit, *, before=None, offset=0):
        override_id = subject.key(section)
        await self.file(override_id)
        found = [change for change in self.audit.values() if change.override_id == override_id]
        newest = sorted((item for item in found if before is None or item.id < before), key=lambda item: item.id, reverse=True)
        return newest[offset : offset + limit]
