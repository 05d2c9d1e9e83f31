"""What is really kept, read past the API: the store's objects and MongoDB's documents."""

import asyncio
import io
from collections import Counter
from typing import Any

from minio import Minio
from pymongo import MongoClient

from shared.events.codec import encode, from_document
from tests.e2e.audio import TONE_S, heard_tones
from tests.e2e.watching import until
from tests.stack import RunningStack


class Evidence:
    """The insides of a stack, read only."""

    def __init__(self, running: RunningStack) -> None:
        store = running.stack.store
        self._bucket = store.bucket
        self._store = Minio(store.endpoint.removeprefix("http://"), store.access_key, store.secret_key, secure=False)
        self._client: MongoClient[dict[str, Any]] = MongoClient(running.stack.mongo.url, tz_aware=True)
        self._database = self._client["earwitness"]

    def close(self) -> None:
        self._client.close()

    def recording(self, recording_id: str) -> dict[str, Any]:
        """A recording's document."""
        return self._database["recordings"].find_one({"_id": recording_id}) or {}

    def transcriptions(self, recording_id: str) -> list[dict[str, Any]]:
        """The documents of a recording's transcriptions."""
        return list(self._database["transcriptions"].find({"recording_id": recording_id}))

    def transcripts(self, recording_id: str) -> list[dict[str, Any]]:
        """The texts that are kept of a recording."""
        wanted = [transcription["_id"] for transcription in self.transcriptions(recording_id)]
        return list(self._database["transcripts"].find({"_id": {"$in": wanted}}))

    def texts_of(self, recording_id: str, *transcription_ids: str) -> list[str]:
        """Where transcripts, names, metadata or bodies about a deleted recording still stand."""
        about = {"recording_id": recording_id}
        named = {"$or": [{"event.recording.name": {"$ne": None}}, {"event.recording.metadata": {"$ne": {}}}]}
        looked = {
            "recordings": {"_id": recording_id, "$or": [{"name": {"$ne": None}}, {"metadata": {"$ne": {}}}]},
            "transcripts": {"$or": [about, {"_id": {"$in": list(transcription_ids)}}]},
            "events": {**about, "event.recording": {"$exists": True}, **named},
            "webhook_deliveries": {**about, "event_type": {"$ne": "recording.deleted"}, "body": {"$ne": b""}},
        }
        return [name for name, where in looked.items() if self._database[name].count_documents(where, limit=1)]

    def put(self, key: str) -> None:
        """Store a small object, as a client with a pre-signed URL does."""
        self._store.put_object(self._bucket, key, io.BytesIO(b"audio"), 5)

    def deliveries(self, endpoint_id: str) -> list[dict[str, Any]]:
        """An endpoint's deliveries."""
        return list(self._database["webhook_deliveries"].find({"endpoint_id": endpoint_id}))

    def events(self, project_id: str) -> dict[str, str]:
        """The types of all events that left an outbox of the project, by id."""
        kept = self._database["events"].find({"event.project_id": project_id})
        return {event["_id"]: event["event"]["type"] for event in kept}

    def message(self, recording_id: str, kind: str) -> bytes:
        """An event of a recording as Kafka carries it."""
        kept = self._database["events"].find_one({"recording_id": recording_id, "event.type": kind})
        assert kept is not None
        return encode(from_document(kept["event"]))

    def settled(self, project_id: str) -> bool:
        """Whether nothing of the project waits for anything: no event, no job, no decision, no delivery.

        Asked in the order in which one thing makes the next, each document at once, so that nothing slips by in between.
        """
        own = {"project_id": project_id}
        working = [{"outbox.0": {"$exists": True}}, {"job.status": {"$in": ["queued", "running"]}}, {"transcription_due": True}]
        return not any(
            self._database[name].count_documents(where, limit=1)
            for name, where in (
                ("recordings", {**own, "$or": working}),
                ("transcriptions", {**own, "$or": working}),
                ("events", {"event.project_id": project_id, "to_fan_out": True}),
                ("webhook_deliveries", {**own, "status": "pending"}),
            )
        )

    def idle(self) -> bool:
        """Whether no worker of the platform has a job, or one waits for it."""
        busy = {"job.status": {"$in": ["queued", "running"]}}
        return not any(self._database[name].count_documents(busy, limit=1) for name in ("recordings", "transcriptions"))

    def keys(self, project_id: str, recording_id: str) -> list[str]:
        """The object keys of a recording."""
        found = self._store.list_objects(self._bucket, f"{project_id}/{recording_id}/", recursive=True)
        return sorted(str(one.object_name) for one in found)

    def chunks(self, project_id: str, recording_id: str) -> list[str]:
        """The keys of a recording's chunks."""
        return [key for key in self.keys(project_id, recording_id) if "/chunks/" in key]

    def audio(self, recording_id: str) -> bytes:
        """The recording's newest media object."""
        answer = self._store.get_object(self._bucket, self.recording(recording_id)["media"][-1]["object_key"])
        try:
            return answer.read()
        finally:
            answer.close()
            answer.release_conn()

    async def tones(self, recording_id: str, seconds: float = TONE_S) -> list[int]:
        """The numbers of the tones in the recording's audio, decoded while receivers go on answering."""
        return await asyncio.to_thread(lambda: heard_tones(self.audio(recording_id), seconds))

    async def assert_each_delivered_once(self, endpoint_id: str, types: set[str]) -> None:
        """One succeeded delivery for every event of these types that the endpoint's project ever had.

        What was heard is recorded a moment later, so it is asked once nothing of the project waits.
        """
        (own, *_) = self.deliveries(endpoint_id)
        await until(lambda: self.settled(own["project_id"]))
        rows = self.deliveries(endpoint_id)
        counts = Counter(row["event_id"] for row in rows)
        wanted = {event_id for event_id, kind in self.events(own["project_id"]).items() if kind in types}
        assert dict(counts) == dict.fromkeys(wanted, 1)
        assert {row["status"] for row in rows} == {"succeeded"}
