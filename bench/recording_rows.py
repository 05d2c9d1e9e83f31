"""Recordings as they stand in MongoDB after some hours of work, made without the API."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from shared.domain.ids import later_derived_id
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Tenant
from shared.storage.documents import to_builtins

DATABASE = "earwitness"
DEVICES = 100
FAILED_EVERY = 10
AT_ONCE = 2_000
SIDE_BY_SIDE = 3
APART = timedelta(milliseconds=20)


def rows(tenant: Tenant, end_user_id: str, count: int, newest_at: datetime) -> Iterator[Recording]:
    """Yield recordings of a hundred devices, oldest first; every tenth has failed, the others are completed."""
    for number in range(count):
        yield _row(tenant, end_user_id, number, newest_at - (count - number) * APART)


def store(mongo_url: str, recordings: Iterator[Recording]) -> None:
    """Put recordings into MongoDB as the API would have them there when all is done."""
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_url)
    collection = client[DATABASE].get_collection("recordings", write_concern=WriteConcern(w=1, j=False))
    under_way: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:  # more are made while MongoDB stores the last
        while documents := [to_builtins(recording) | {"outbox": []} for recording in islice(recordings, AT_ONCE)]:
            under_way.append(pool.submit(collection.insert_many, documents, ordered=False))
            if len(under_way) > SIDE_BY_SIDE:
                under_way.popleft().result()
        for storing in under_way:
            storing.result()
    client.close()


def device_id(tenant: Tenant, number: int) -> str:
    """Return the id of one of the devices."""
    return later_derived_id("dev", 0, tenant.project_id, number % DEVICES)


def _row(tenant: Tenant, end_user_id: str, number: int, at: datetime) -> Recording:
    at_ms = int(at.timestamp() * 1000)
    audio = Media(
        id=later_derived_id("med", at_ms, tenant.project_id, number),
        type=MediaType.AUDIO,
        content_type="audio/ogg",
        object_key=f"{tenant.project_id}/{number}.ogg",
        status=MediaStatus.UPLOADED,
        file_size_bytes=480_000,
        created_at=at,
    )
    return Recording(
        id=later_derived_id("rec", at_ms, tenant.project_id, number),
        project_id=tenant.project_id,
        mode=tenant.mode,
        version=6,
        status=RecordingStatus.COMPLETED if number % FAILED_EVERY else RecordingStatus.FAILED,
        streaming=True,
        device_id=device_id(tenant, number),
        end_user_id=end_user_id,
        name=f"Visit {number}",
        started_at=at,
        metadata={"room": number % 40, "language": "en"},
        duration_ms=61_000,
        media=(audio,),
        uploaded_at=at,
        created_at=at,
        updated_at=at,
    )
