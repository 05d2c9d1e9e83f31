"""What the server wrote down about the queries that it answered."""


async def new_moment(mongo):
    """A moment of the server's clock, of milliseconds, at which nothing was asked before this."""
    before = moment = await _server_time(mongo)
    while moment == before:
        moment = await _server_time(mongo)
    return moment


async def _server_time(mongo):
    return (await mongo.database.command("hello"))["localTime"]
