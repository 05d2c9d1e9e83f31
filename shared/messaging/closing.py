"""Closing aiokafka's clients surely: its own ways wait for a broker that is away, or break off before the connections are closed.

A client that is left open asks for metadata as long as the process lives, and logs an error each time that nobody answers.
"""

import asyncio
from typing import Any

from aiokafka.errors import ProducerClosed  # type: ignore[import-untyped]  # no types

Client = Any  # aiokafka's consumer or producer, which have no types of their own


_closing: set[asyncio.Task[None]] = set()


async def leave(consumer: Client, within_s: float) -> None:
    """Close a consumer within so many seconds; what its broker makes us wait for longer ends in the background."""
    closing = asyncio.create_task(close_consumer(consumer))
    _closing.add(closing)
    closing.add_done_callback(_closing.discard)
    await asyncio.wait({closing}, timeout=within_s)


async def close_consumer(consumer: Client) -> None:
    """Leave the group and close; raises whatever kept the consumer from doing so itself, and has closed it all the same.

    It breaks off where it cancels what waits for a broker, and forgets its connections.
    """
    try:
        await consumer.stop()
    finally:
        await consumer._client.close()  # noqa: SLF001  # there is no other way to it


async def close_producer(producer: Client, within_s: float) -> None:
    """Close, once all that is to be sent is acknowledged; what is not `within_s` seconds from now is given up.

    Whoever waits for that is told by `ProducerClosed`.
    """
    closing = asyncio.create_task(producer.stop())
    try:
        await asyncio.wait({closing}, timeout=within_s)
    finally:
        if not closing.done():
            closing.cancel()
            await asyncio.wait({closing})
            await _cut(producer)
    if not closing.cancelled():
        closing.result()


async def _cut(producer: Client) -> None:
    await producer.client.close()  # what is under way ends with its connection
    await producer._sender.close()  # noqa: SLF001  # as above
    await producer.client.close()  # the sender may have opened another
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001  # as above
