"""The verb of a provider's callback: its answer to an order is stored, surely, and the transcription goes on."""

import asyncio
import hmac
from collections.abc import AsyncIterable

import msgspec

from services.ingest.chunk_bodies import lively
from services.ingest.outbox import decided_anew
from services.ingest.ports import ObjectStore, OrderReader, TranscriptionStore
from services.ingest.refusals import InvalidRequest, NotFound, PayloadTooLarge
from shared.domain.clock import now
from shared.domain.provider_order import ProviderOrder
from shared.domain.secret import secret_sha256
from shared.domain.transcription import Transcription

NOTHING_HERE = "there is nothing here"
"""What an unknown path is answered, too: whoever guesses learns nothing."""

_AT_ONCE = 4


class TakeAnswer:
    """Takes answers of at most `max_bytes`, a few at a time, for each is held whole; the token in the URL is the credential."""

    def __init__(self, orders: OrderReader, transcriptions: TranscriptionStore, objects: ObjectStore, max_bytes: int) -> None:
        self._orders, self._transcriptions, self._objects = orders, transcriptions, objects
        self._max_bytes = max_bytes
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def admit(self, provider: str, token: str) -> ProviderOrder:
        """Return the order that the bearer of the token may answer; raises `NotFound` as for a path that is not there."""
        hashed = secret_sha256(token)
        order = await self._orders.by_token(hashed)
        if order is None or order.provider != provider or not any(hmac.compare_digest(hashed, known) for known in order.tokens):
            raise NotFound(NOTHING_HERE)
        return order

    async def __call__(self, order: ProviderOrder, pieces: AsyncIterable[bytes], announced: int | None) -> None:
        """Store the answer and wake the transcription's job.

        Nothing is stored of a body that is too large, breaks off or is no JSON object. The first answer that is stored stands;
        one that nobody waits for is let go.
        """
        if announced is not None and announced > self._max_bytes:
            raise self._too_large()
        async with self._slots:
            body = await self._whole(pieces)
            _check(body)
            if order.is_awaited_by(await self._present(order)):
                await self._objects.put(order.answer_key, body, len(body), "application/json")
                await self._answered(order)

    async def _answered(self, order: ProviderOrder) -> None:
        """Say in the transcription that its answer has come; one that ended meanwhile leaves nothing of it."""

        async def attempt() -> None:
            present = await self._present(order)
            if present is not None and order.is_awaited_by(present):
                await self._transcriptions.save(present, present.answered(now()))
            elif not order.is_needed_by(present):
                await self._objects.delete([order.answer_key])

        await decided_anew(attempt)

    async def _present(self, order: ProviderOrder) -> Transcription | None:
        return await self._transcriptions.get(order.tenant, order.transcription_id)

    async def _whole(self, pieces: AsyncIterable[bytes]) -> bytes:
        body = bytearray()
        async for piece in lively(pieces):
            body += piece
            if len(body) > self._max_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"an answer may be {self._max_bytes} bytes at most", details={"max_bytes": self._max_bytes})


def _check(body: bytes) -> None:
    """Refuse what is no JSON object; what it says is for the worker to read."""
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest("the body is no JSON object; nothing was stored") from error
