"""Orders at providers on the network as they are written down: how they are made, who may answer them, what is kept of them."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec

from services.transcriber.cloud_ports import AudioSource, CloudProvider, SpeechOrder
from services.transcriber.ports import MOST_CHANNELS, AudioLocator, ChannelsAlike, OrderStore
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.media import Media
from shared.domain.provider_order import new_callback_token, provider_order
from shared.domain.recording import Recording
from shared.domain.secret import secret_sha256
from shared.domain.stored_object import ObjectMissing
from shared.domain.transcription import Transcription
from shared.uploads import fetch_upload

_PIECE_BYTES = 1024 * 1024
_FIRST_LOOK = timedelta(minutes=1)


class OrderBook:
    """Writes orders.

    `callback_url` is the base of the URLs to which providers send their answers, None where they cannot. `fetch_s`: for how long
    the URL holds by which a provider fetches the audio; None gives it the bytes.
    """

    def __init__(  # noqa: PLR0913 - the collaborators of the orders
        self,
        orders: OrderStore,
        store: AudioLocator,
        spool: Path,
        channels_alike: ChannelsAlike,
        *,
        callback_url: str | None = None,
        fetch_s: int | None = None,
    ) -> None:
        self._orders, self._store, self._spool, self._channels_alike = orders, store, spool, channels_alike
        self._callback_url, self._fetch_s = callback_url and callback_url.rstrip("/"), fetch_s

    @contextlib.asynccontextmanager
    async def written(
        self, transcription: Transcription, recording: Recording, provider: CloudProvider, key: str, *, with_audio: bool
    ) -> AsyncIterator[SpeechOrder]:
        """Yield the order of a transcription; the audio's bytes are fetched only where they are to be sent or listened to.

        Whether the channels are told apart is decided before the order is first placed, and kept with it.
        """
        options, audio = transcription.options, recording.audio
        assert audio is not None, "whoever writes an order has found its audio"
        with tempfile.TemporaryDirectory(dir=self._spool, prefix=f"{transcription.id}-") as folder:
            path = Path(folder) / "audio"
            source = self._source(transcription, audio, path)
            multichannel = options.multichannel and _has_channels_to_tell_apart(audio, provider)
            undecided = multichannel and transcription.remote is None
            if with_audio and (source.url is None or undecided):
                await fetch_upload(self._store, audio, path)
            if with_audio and undecided:
                multichannel = not await self._channels_alike(path)
            elif transcription.remote is not None and transcription.remote.whole:
                multichannel = False
            yield SpeechOrder(
                reference=transcription.id,
                api_key=key,
                audio=source,
                duration_ms=recording.duration_ms or 0,
                language=transcription.requested_language,
                diarization=transcription.diarization,
                num_speakers=options.num_speakers,
                multichannel=multichannel,
                vocabulary=options.vocabulary,
            )

    async def answerable(self, transcription: Transcription, provider: CloudProvider, order: SpeechOrder) -> SpeechOrder:
        """Return the order with a URL of its own for the answer, where the provider sends it to one.

        The token in the URL is kept, as its hash, before anybody is told of it. Where the answer comes in the same exchange and
        may be lost for good, a row is kept by which it is deleted from our store, whatever becomes of the transcription; where
        an order can be found, one by which it is should its id be lost.
        """
        if self._callback_url is None or not provider.calls_back:
            if not provider.finds_orders or order.audio.url is not None:
                mark = order.reference if provider.finds_orders else None
                await self._orders.keep(provider_order(transcription, now() + _FIRST_LOOK, mark=mark))
            return order
        token = new_callback_token()
        hashed = secret_sha256(token)
        await self._orders.keep(provider_order(transcription, now() + _FIRST_LOOK, tokens=(hashed,)))
        url = f"{self._callback_url}/v1/provider-callbacks/{provider.name}/{token}"
        return msgspec.structs.replace(order, callback_url=url)

    async def keep_answer(self, transcription: Transcription, body: bytes) -> None:
        """Keep an answer that is read at once, too, until its transcript is stored: it is not given a second time.

        A store that does not take it is no failure while nothing else fails.
        """
        with contextlib.suppress(TransientFailure):
            order = provider_order(transcription, now() + _FIRST_LOOK)
            await self._store.put(order.answer_key, body, len(body), "application/json")
            await self._orders.keep(order)  # the claim may be lost by now, and the row from before the exchange worked off

    async def found_answer(self, transcription: Transcription) -> bytes | None:
        """Return the answer that was kept; None when there is none."""
        try:
            return await self.answer(transcription)
        except ObjectMissing:
            return None

    async def answer(self, transcription: Transcription) -> bytes:
        """Return what the provider answered, to the order's URL or in the exchange."""
        with tempfile.TemporaryDirectory(dir=self._spool, prefix=f"{transcription.id}-") as folder:
            path = Path(folder) / "answer"
            await self._store.download(provider_order(transcription, now()).answer_key, path)
            return await asyncio.to_thread(path.read_bytes)

    async def note(self, transcription: Transcription, provider: CloudProvider, job_id: str) -> None:
        """Note what the provider keeps from now on, or may keep, so that it is deleted whatever becomes of the transcription."""
        if provider.keeps(job_id):
            await self._orders.keep(provider_order(transcription, now() + _FIRST_LOOK, copies=(job_id,)))
        elif provider.finds_orders:
            await self._orders.keep(provider_order(transcription, now() + _FIRST_LOOK, mark=job_id))

    async def unmark(self, transcription: Transcription) -> None:
        """Note that nothing was ordered; where that fails, it is looked for in vain."""
        with contextlib.suppress(TransientFailure):
            await self._orders.unmark(transcription)

    async def end(self, transcription: Transcription) -> None:
        """Have what is left of the order deleted now; what is not told here is found within minutes."""
        with contextlib.suppress(TransientFailure):
            await self._orders.end(transcription)

    def _source(self, transcription: Transcription, audio: Media, path: Path) -> AudioSource:
        filename = transcription.id + Path(audio.object_key).suffix
        url = None if self._fetch_s is None else self._store.presigned_get(audio.object_key, self._fetch_s, filename=filename)
        return AudioSource(
            content_type=audio.content_type,
            filename=filename,
            size_bytes=audio.file_size_bytes or 0,
            open=lambda: _pieces(path),
            url=url,
        )


def _has_channels_to_tell_apart(audio: Media, provider: CloudProvider) -> bool:
    """Say whether the provider may take each channel for a speaker: of one alone it would tell nobody apart."""
    return audio.channels is None or 1 < audio.channels <= min(MOST_CHANNELS, provider.most_channels)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:  # from the page cache: it was just written
        while piece := file.read(_PIECE_BYTES):
            yield piece
