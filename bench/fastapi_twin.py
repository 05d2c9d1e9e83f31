"""The peer of the create benchmark: `POST /v1/recordings` as one writes it with FastAPI, pydantic and motor.

`python -m bench.fastapi_twin PORT MONGO_URL`. It does what ours does until the answer: knows the caller by the hash of the key
and for a while by heart, so too the end user; checks the body; stores the recording with its event in one journalled write;
signs the place for the chunks. It has no rate limits, request ids, idempotency keys, logs or metrics, and nobody publishes what
its outboxes hold: all that is to its advantage.
"""

import hashlib
import hmac
import sys
import time
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pydantic import AwareDatetime, BaseModel, Field
from pymongo.write_concern import WriteConcern

DATABASE = "twin"
_CACHE_S = 30.0
_SECRET = b"the twin signs with this"
_TTL_S = 86_400

Identifier = Annotated[str, Field(min_length=1, max_length=128)]


class CreateRecording(BaseModel):
    """The body."""

    end_user_id: Identifier
    device_id: Identifier | None = None
    name: Annotated[str, Field(max_length=255)] | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    recorded_at: AwareDatetime | None = None
    metadata: dict[str, Any] = {}
    streaming: bool = False
    source: Literal["device", "app_import", "api_upload"] | None = None


class RecordingOut(CreateRecording):
    """The answer."""

    id: str
    project_id: str
    status: str
    media: list[dict[str, Any]] = []
    created_at: datetime
    updated_at: datetime
    chunk_upload_url_template: str | None = None


class Remembered:
    """What was looked up, for a while."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, dict[str, Any]]] = {}

    async def get(self, collection: Any, field: str, value: str) -> dict[str, Any] | None:  # noqa: ANN401 - motor's own
        """Return the document with this value."""
        until, document = self._found.get(value, (0.0, None))
        if until > time.monotonic():
            return document
        found: dict[str, Any] | None = await collection.find_one({field: value})
        if found is not None:
            self._found[value] = time.monotonic() + _CACHE_S, found
        return found


@asynccontextmanager
async def lifespan(app: FastAPI) -> Any:  # noqa: ANN401 - an iterator of nothing
    """Connect to MongoDB."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(sys.argv[2], tz_aware=True)
    app.state.database = client.get_database(DATABASE, write_concern=WriteConcern(w="majority", j=True))
    app.state.remembered = Remembered()
    yield
    client.close()


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


def get_database(request: Request) -> AsyncIOMotorDatabase[dict[str, Any]]:
    """Return the database."""
    database: AsyncIOMotorDatabase[dict[str, Any]] = request.app.state.database
    return database


Database = Annotated[AsyncIOMotorDatabase[dict[str, Any]], Depends(get_database)]


async def get_caller(
    request: Request, database: Database, shown: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]
) -> dict[str, Any]:
    """Return the key that was shown; 401 when there is none such."""
    digest = hashlib.sha256(shown.credentials.encode()).hexdigest()
    key = await request.app.state.remembered.get(database["api_keys"], "secret_sha256", digest)
    if key is None or key["revoked_at"] is not None:
        raise HTTPException(401)
    return dict(key)


@app.post("/v1/recordings", status_code=201)
async def create(
    request: Request, database: Database, caller: Annotated[dict[str, Any], Depends(get_caller)], body: CreateRecording
) -> RecordingOut:
    """Open a recording."""
    end_user = await request.app.state.remembered.get(database["end_users"], "_id", body.end_user_id)
    if end_user is None or end_user["project_id"] != caller["project_id"]:
        raise HTTPException(404)
    at = datetime.now(UTC)
    recording = body.model_dump() | {
        "_id": f"rec_{uuid.uuid4().hex}",
        "project_id": caller["project_id"],
        "status": "streaming" if body.streaming else "pending",
        "media": [],
        "created_at": at,
        "updated_at": at,
    }
    shown = RecordingOut.model_validate({**recording, "id": recording["_id"]})
    event = {"event_id": f"evt_{uuid.uuid4().hex}", "type": "recording.created", "occurred_at": at}
    await database["recordings"].insert_one({**recording, "outbox": [{**event, "recording": shown.model_dump()}]})
    if body.streaming:
        shown.chunk_upload_url_template = _template(str(request.base_url), shown)
    return shown


def _template(base_url: str, recording: RecordingOut) -> str:
    expires = int(time.time()) + _TTL_S
    text = f"{recording.project_id}/{recording.id}/{expires}"
    signature = hmac.new(_SECRET, text.encode(), hashlib.sha256).hexdigest()
    return f"{base_url}v1/recordings/{recording.id}/chunks/{{chunk_number}}?expires={expires}&signature={signature}"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
