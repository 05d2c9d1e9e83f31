"""Connections to a standalone MongoDB that are refused at a bad moment: whoever writes is told of an outage, of nothing else."""

import asyncio
import contextlib
from urllib.parse import urlsplit

import msgspec
import pytest

from shared.storage.documents import Documents
from shared.storage.mongo import Mongo
from shared.storage.mongo_errors import StoreUnavailable, translated

WRITERS = 8
CROWD = 200  # calls at once; the driver has five threads for each core


class Thing(msgspec.Struct, frozen=True, rename={"id": "_id"}):
    """A document."""

    id: str
    value: int


class Gate:
    """A way to the server; the next `refuse` connections are closed before a byte has passed."""

    def __init__(self, port):
        self._port, self._server, self._ways = port, None, set()
        self.refuse, self.refused = 0, 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._let_in, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    @property
    def url(self):
        return f"mongodb://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/?directConnection=true"

    async def _let_in(self, reader, writer):
        self._ways.add(asyncio.current_task())
        with contextlib.suppress(OSError), contextlib.closing(writer):
            if self.refuse:
                self.refuse, self.refused = self.refuse - 1, self.refused + 1
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            with contextlib.closing(back):
                await asyncio.wait(
                    {asyncio.create_task(_pass_on(reader, back)), asyncio.create_task(_pass_on(there, writer))},
                    return_when=asyncio.FIRST_COMPLETED,
                )


async def _pass_on(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def test_a_write_whose_new_connection_is_refused_is_done_or_fails_as_in_an_outage(mongo_settings):
    port = urlsplit(mongo_settings.mongo_url).port
    async with Gate(port) as gate:
        mongo = Mongo(msgspec.structs.replace(mongo_settings, mongo_url=gate.url))
        things = Documents(mongo.database["things"], Thing)
        await things.insert(Thing("one", 0))
        gate.refuse = 1
        changes = [things.change({"_id": "one"}, {"$inc": {"value": 1}}) for _ in range(WRITERS)]  # one connection is open
        results = await asyncio.gather(*changes, return_exceptions=True)
        await asyncio.to_thread(mongo.close)  # it waits for answers that come through the gate
    assert gate.refused == 1
    assert {type(result) for result in results} <= {Thing, StoreUnavailable}, results


@pytest.mark.parametrize("answers", [False, True], ids=["nobody listens", "nobody answers"])
async def test_of_a_crowd_nobody_waits_longer_than_one_alone_though_threads_are_few(mongo_settings, answers):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if not answers:
        server.close()
    url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    mongo = Mongo(msgspec.structs.replace(mongo_settings, mongo_url=url))

    async def call(number):
        async with translated(within_s=0.5):
            await mongo.database["things"].find_one({"_id": number})

    async with asyncio.timeout(4.5):  # one that waits for a server takes five seconds, of which there would be many rounds
        outcomes = await asyncio.gather(*(call(number) for number in range(CROWD)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * CROWD
    mongo.close()
    server.close()


async def test_a_name_that_is_not_found_is_an_outage_also_where_it_stands_for_many(mongo_settings):
    mongo = Mongo(msgspec.structs.replace(mongo_settings, mongo_url="mongodb+srv://cluster.invalid"))
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await mongo.check()
    mongo.close()
