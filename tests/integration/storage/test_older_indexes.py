"""A database whose indexes an earlier release made is brought to the form of this one, by however many replicas start at once."""

import asyncio

import pytest
from pymongo.errors import OperationFailure

from shared.storage.recordings import INDEXES, Recordings
from shared.storage.transcriptions import Transcriptions
from shared.telemetry.logs import captured_lines

EARLIER = [([("job.available_at", 1)], "job_by_time"), ([("project_id", 1), ("job.available_at", 1)], "job_by_project")]


async def test_other_keys_under_the_same_name_are_indexed_anew(mongo):
    collection = mongo.database["recordings"]
    for keys, name in EARLIER:
        await collection.create_index(keys, name=name, partialFilterExpression={"job.available_at": {"$type": "date"}})
    await collection.create_index([("updated_at", 1)], name="undecided", partialFilterExpression={"transcription_due": True})
    await collection.insert_many([{"_id": f"rec_{number}", "project_id": "proj_1"} for number in range(100)])
    with captured_lines() as lines:
        await asyncio.gather(*(Recordings(mongo).ensure_indexes() for _ in range(4)))
    made = await collection.index_information()
    assert {index.document["name"]: list(index.document["key"].items()) for index in INDEXES} == {
        name: found["key"] for name, found in made.items() if name != "_id_"
    }
    assert {line["index"] for line in lines if line["event"] == "index.renewed"} == {"undecided", *(name for _, name in EARLIER)}


async def test_what_is_unique_is_not_dropped_for_a_moment(mongo):
    collection = mongo.database["transcriptions"]
    await collection.create_index([("recording_id", 1)], name="one_active", unique=True)
    with pytest.raises(OperationFailure):
        await Transcriptions(mongo).ensure_indexes()
    assert "partialFilterExpression" not in (await collection.index_information())["one_active"]
