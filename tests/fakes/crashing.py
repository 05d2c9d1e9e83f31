"""Recordings as MongoDB keeps them when it may be killed: what can be read is not yet there for good."""

from shared.domain.errors import TransientFailure
from tests.fakes.ingest import FakeRecordings


class CrashingRecordings(FakeRecordings):
    """Recordings that a `crash` takes back to what was on the journal.

    What is written can be read at once. A lasting write returns when it is on the journal, with all that was written before it; a
    hasty one does not wait. Whoever waits for an answer at the crash asks again by itself, once, as the driver does, or is told
    that nobody knows.
    """

    def __init__(self, steps):
        super().__init__()
        self._steps = steps
        self._written = self._journaled = 0
        self._crashed_at, self._retried = [], True
        self._for_good = {}, {}, {}

    def crash(self, *, retried):
        """Kill the server and start it again."""
        documents, outbox, unseen = self._for_good
        self.documents, self.outbox, self.unseen = dict(documents), _copied(outbox, list), _copied(unseen, dict)
        self._crashed_at.append(self._journaled)
        self._retried = retried

    async def add(self, *arguments):
        added = await super().add(*arguments)
        self._journal()
        return added

    async def save(self, *arguments, **unseen):
        return await self._lasting(lambda: super(CrashingRecordings, self).save(*arguments, **unseen))

    async def confirm(self, *arguments):
        return await self._lasting(lambda: super(CrashingRecordings, self).confirm(*arguments))

    async def begin_closing(self, *arguments):
        return await self._hasty(lambda: super(CrashingRecordings, self).begin_closing(*arguments))

    async def end_closing(self, *arguments):
        return await self._hasty(lambda: super(CrashingRecordings, self).end_closing(*arguments))

    async def outdate(self, *arguments):
        return await self._lasting(lambda: super(CrashingRecordings, self).outdate(*arguments))

    async def unmark(self, *arguments):
        return await self._hasty(lambda: super(CrashingRecordings, self).unmark(*arguments))

    async def _lasting(self, write):
        outcome = await self._hasty(write)
        self._journal()
        return outcome

    def _journal(self):
        self._journaled = self._written
        self._for_good = dict(self.documents), _copied(self.outbox, list), _copied(self.unseen, dict)

    async def _hasty(self, write):
        outcome = await write()
        self._written += 1
        number, crashes = self._written, len(self._crashed_at)
        await self._steps.turn()
        if any(journaled < number for journaled in self._crashed_at[crashes:]):
            if not self._retried:
                raise TransientFailure("mongod is away")
            outcome = await write()
            self._written += 1
        return outcome


def _copied(by_id, kind):
    return {key: kind(values) for key, values in by_id.items()}
