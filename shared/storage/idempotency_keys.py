"""The `idempotency_keys` collection: requests that must not be done twice, with their answers, until they expire.

Answers are sealed: some hold secrets that are shown once and kept nowhere else as they are.
"""

import base64
from datetime import datetime
from typing import Any

import msgspec
from pymongo import ASCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.errors import AlreadyExists
from shared.domain.kept_answer import Answer, Claim, ClaimedRequest
from shared.sealing import Sealing
from shared.storage.documents import Documents, to_builtins
from shared.storage.mongo import Mongo


class StoredRequest(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """A claimed request as it is kept, its answer sealed."""

    id: str
    fingerprint: str
    token: str
    first_at: datetime
    leased_until: datetime
    expires_at: datetime
    answer: str | None = None
    nothing_done: bool = False


class IdempotencyKeys:
    """Claimed requests by the hash of whose they are, what they do and their key."""

    def __init__(self, mongo: Mongo, sealing: Sealing) -> None:
        self._documents = Documents(mongo.database["idempotency_keys"], StoredRequest)
        self._sealing = sealing

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes((IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),))

    async def claim(self, request: ClaimedRequest) -> bool:
        """Store the request, not answered yet, unless one is there under its id."""
        try:
            await self._documents.insert(_unanswered(request))
        except AlreadyExists:
            return False
        return True

    async def get(self, request_id: str) -> ClaimedRequest | None:
        """Return the request and, once there is one, its answer."""
        found = await self._documents.get(request_id)
        if found is None:
            return None
        answer = None if found.answer is None else self._opened(found.id, found.answer)
        return ClaimedRequest(**{**msgspec.structs.asdict(found), "answer": answer})

    async def take_over(self, stale: ClaimedRequest, fresh: ClaimedRequest) -> bool:
        """Put `fresh` in the place of `stale`; False when that was renewed, answered or taken over since it was read."""
        document = to_builtins(_unanswered(fresh))
        del document["_id"]
        where: dict[str, Any] = {"_id": stale.id, "token": stale.token, "leased_until": stale.leased_until}
        if stale.answer is None:
            where["answer"] = None
        return await self._documents.update(where, {"$set": document})

    async def renew(self, claim: Claim, until: datetime) -> None:
        """Keep the claim until then."""
        await self._documents.update(_held(claim), {"$set": {"leased_until": until}})

    async def settle(self, claim: Claim, answer: Answer | None, *, nothing_done: bool = False) -> None:
        """Keep the answer, or, without one, let go of the claim; nothing happens when the claim is another's by now."""
        let_go = {"leased_until": now(), "nothing_done": nothing_done}
        settled = let_go if answer is None else {"answer": self._sealed(claim.id, answer)}
        await self._documents.update(_held(claim), {"$set": settled})

    def _sealed(self, request_id: str, answer: Answer) -> str:
        return self._sealing.seal(base64.b64encode(msgspec.msgpack.encode(answer)).decode(), _place(request_id))

    def _opened(self, request_id: str, sealed: str) -> Answer:
        text = self._sealing.open(sealed, _place(request_id))
        return msgspec.msgpack.decode(base64.b64decode(text), type=Answer)


def _unanswered(request: ClaimedRequest) -> StoredRequest:
    return StoredRequest(**{**msgspec.structs.asdict(request), "answer": None})


def _held(claim: Claim) -> dict[str, Any]:
    return {"_id": claim.id, "token": claim.token, "answer": None}


def _place(request_id: str) -> str:
    return f"idempotency_keys/{request_id}"
