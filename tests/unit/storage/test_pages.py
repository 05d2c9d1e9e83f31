"""When MongoDB is away, everybody who asked for a page hears so; nobody is shown an empty one."""

import asyncio

import msgspec
import pytest
from pymongo.errors import AutoReconnect

from shared.storage.mongo_errors import StoreUnavailable
from shared.storage.pages import Pages


class Row(msgspec.Struct):
    _id: str


class Away:
    """A collection whose server does not answer; it counts who asked."""

    name = "rows"

    def __init__(self):
        self.asked = 0

    def find(self, *_, **__):
        return self

    def aggregate(self, *_, **__):
        return self

    async def to_list(self, _length):
        self.asked += 1
        await asyncio.sleep(0)
        raise AutoReconnect("connection closed")


@pytest.mark.parametrize("crowd", [1, 2, 60])
async def test_each_of_a_crowd_hears_that_the_store_is_away(crowd):
    collection = Away()
    pages = Pages(collection, Row)
    outcomes = await asyncio.gather(*(pages.first({"n": number}, 10) for number in range(crowd)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * crowd
    assert len({id(outcome) for outcome in outcomes}) == crowd  # each its own: a traceback grows with whoever raises it
    assert 1 <= collection.asked <= crowd
