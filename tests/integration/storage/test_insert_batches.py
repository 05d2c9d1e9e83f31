"""Inserts that come together: each document is stored once and each caller hears of its own."""

import asyncio

from motor.motor_asyncio import AsyncIOMotorClient

from shared.domain.errors import AlreadyExists
from shared.storage.inserts import Inserts
from shared.storage.mongo_errors import StoreUnavailable


class Counted:
    """A collection that counts the writes it is asked for."""

    def __init__(self, collection):
        self._collection = collection
        self.writes = 0

    def insert_one(self, document):
        self.writes += 1
        return self._collection.insert_one(document)

    def insert_many(self, documents, *, ordered):
        self.writes += 1
        return self._collection.insert_many(documents, ordered=ordered)


async def test_documents_that_come_together_take_few_writes(mongo):
    collection = Counted(mongo.database["rows"])
    inserts = Inserts(collection)
    await asyncio.gather(*(inserts.insert({"_id": number}) for number in range(300)))
    assert await mongo.database["rows"].count_documents({}) == 300
    assert collection.writes <= 8


async def test_each_repeated_key_fails_alone(mongo):
    inserts = Inserts(mongo.database["rows"])
    numbers = [number % 50 for number in range(100)]
    outcomes = await asyncio.gather(*(inserts.insert({"_id": number}) for number in numbers), return_exceptions=True)
    assert outcomes.count(None) == 50
    assert all(outcome is None or isinstance(outcome, AlreadyExists) for outcome in outcomes)
    assert await mongo.database["rows"].count_documents({}) == 50


async def test_a_document_that_cannot_be_encoded_fails_alone(mongo):
    inserts = Inserts(mongo.database["rows"])
    documents = [{"_id": number, "value": 2**70 if number == 7 else 1} for number in range(20)]
    outcomes = await asyncio.gather(*map(inserts.insert, documents), return_exceptions=True)
    assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == [7]
    assert isinstance(outcomes[7], OverflowError)
    assert await mongo.database["rows"].count_documents({}) == 19


async def test_a_caller_that_goes_away_disturbs_nobody(mongo):
    inserts = Inserts(mongo.database["rows"])
    tasks = [asyncio.ensure_future(inserts.insert({"_id": number})) for number in range(20)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [task for task in tasks if not task.cancelled() and task.exception()] == []
    assert await mongo.database["rows"].count_documents({"_id": {"$ne": 3}}) == 19


async def test_when_the_store_is_away_everybody_hears_so():
    client = AsyncIOMotorClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100)
    inserts = Inserts(client["nowhere"]["rows"])
    outcomes = await asyncio.gather(*(inserts.insert({"_id": number}) for number in range(5)), return_exceptions=True)
    client.close()
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 5
