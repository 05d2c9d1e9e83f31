"""The `transcripts` collection: text, segments and words, apart from the transcription because they are large.

No document of MongoDB's is larger than 16 MB, which is some fifteen hours of words. The segments of a long transcript are
therefore packed, which leaves room for some sixty; what is longer still raises `TooLargeToKeep`.
"""

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
from pymongo import ASCENDING, IndexModel

from shared.domain.errors import AlreadyExists
from shared.domain.tenant import Tenant
from shared.domain.transcript import Segment, Transcript
from shared.domain.transcription import Transcription
from shared.storage.documents import Documents, to_builtins
from shared.storage.mongo import Mongo
from shared.storage.tenancy import owned_by

_MOST_WORDS = 30_000  # about 4 MB, three hours of fast speech
_QUICKLY = 1
_SEGMENTS = msgspec.json.Decoder(tuple[Segment, ...])


class StoredTranscript(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """A transcript under its transcription's id, written by the claim with `token`.

    `packed` are the segments of a long one, which are then not in it: their JSON, compressed.
    """

    id: str
    project_id: str
    mode: str
    recording_id: str
    token: int
    transcript: Transcript
    packed: bytes | None = None
    whole: bool = False


class Transcripts:
    """Transcripts by tenant; a worker whose claim is no longer the newest cannot overwrite a newer one's."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["transcripts"], StoredTranscript)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes((IndexModel([("recording_id", ASCENDING)], name="of_recording"),))

    async def put(self, transcription: Transcription, transcript: Transcript, *, whole: bool = True) -> bool:
        """Store the transcript, or, not `whole`, what of it was heard so far; return False when that is not the newest any more.

        Newer is what a newer claim stored, and the whole of the same claim: a write of a part may still be under way then.
        """
        token = transcription.job.token
        shown, packed = transcript, None
        if transcript.word_count > _MOST_WORDS:
            shown, packed = msgspec.structs.replace(transcript, segments=()), await asyncio.to_thread(_packed, transcript)
        stored = StoredTranscript(
            id=transcription.id,
            project_id=transcription.project_id,
            mode=transcription.mode,
            recording_id=transcription.recording_id,
            token=token,
            transcript=shown,
            packed=packed,
            whole=whole,
        )
        own: dict[str, Any] = {"token": token} if whole else {"token": token, "whole": {"$ne": True}}
        where = {"_id": transcription.id, "$or": [{"token": {"$lt": token}}, own]}
        document = to_builtins(stored)
        del document["_id"]
        try:
            return await self._documents.update(where, {"$set": document}, upsert=True)
        except AlreadyExists:  # a newer one, or one that was made at this moment and may be older
            return await self._documents.update(where, {"$set": document})

    async def get(self, tenant: Tenant, transcription_id: str) -> Transcript | None:
        """Return the transcript unless it is another tenant's or not there."""
        stored = await self._documents.find_one(owned_by(tenant) | {"_id": transcription_id})
        if stored is None:
            return None
        if stored.packed is None:
            return stored.transcript
        segments = await asyncio.to_thread(_unpacked, stored.packed)
        return msgspec.structs.replace(stored.transcript, segments=segments)

    async def texts(self, tenant: Tenant, transcription_ids: Sequence[str]) -> dict[str, str]:
        """Return the texts alone, by id, of those that are there and the tenant's."""
        where = owned_by(tenant) | {"_id": {"$in": list(transcription_ids)}}
        found = await self._documents.project(where, ["transcript.text"], None, len(transcription_ids))
        return {document["_id"]: document["transcript"]["text"] for document in found}

    async def erase_texts(self, tenant: Tenant, recording_id: str) -> None:
        """Remove the transcripts of a recording for good."""
        await self._documents.delete_many(owned_by(tenant) | {"recording_id": recording_id})


def _packed(transcript: Transcript) -> bytes:
    return zlib.compress(msgspec.json.encode(transcript.segments), _QUICKLY)


def _unpacked(packed: bytes) -> tuple[Segment, ...]:
    return _SEGMENTS.decode(zlib.decompress(packed))
