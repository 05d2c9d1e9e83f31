"""The `transcriptions` collection: job and outbox inside; the text stands apart, in `transcripts`."""

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.errors import AlreadyExists
from shared.domain.tenant import Tenant
from shared.domain.transcription import Transcription
from shared.events.event import Event
from shared.storage.aggregates import AGGREGATE_INDEXES, Aggregates
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo

_TENANT = [("project_id", ASCENDING), ("mode", ASCENDING)]

INDEXES = (
    *AGGREGATE_INDEXES,
    IndexModel([("recording_id", ASCENDING)], name="one_active", unique=True, partialFilterExpression={"active": True}),
    IndexModel([*_TENANT, ("deleted_at", ASCENDING), ("_id", DESCENDING)], name="list"),
    IndexModel([*_TENANT, ("deleted_at", ASCENDING), ("recording_id", ASCENDING), ("_id", DESCENDING)], name="list_of_recording"),
)


class Transcriptions(Aggregates[Transcription]):
    """Transcriptions by tenant; at most one of a recording is active, by unique index."""

    def __init__(self, mongo: Mongo) -> None:
        super().__init__(Documents(mongo.database["transcriptions"], Transcription), Transcription)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(INDEXES)

    async def start(self, transcription: Transcription, event: Event) -> bool:
        """Store a new transcription with its event; False when it is there already or another of the recording is active."""
        try:
            await self.add(transcription, event)
        except AlreadyExists:
            return False
        return True

    async def newest_of(self, tenant: Tenant, recording_id: str) -> Transcription | None:
        """Return the recording's newest transcription."""
        where = {"project_id": tenant.project_id, "mode": tenant.mode.value, "deleted_at": None, "recording_id": recording_id}
        return await self._documents.find_one(where, (("_id", DESCENDING),))
