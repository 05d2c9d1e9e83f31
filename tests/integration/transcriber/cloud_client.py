"""An adapter at a speech service, here or live, and what the service answers to it."""

import asyncio
import io
import wave

import assemblyai.types
import numpy as np
from deepgram.types.listen_v1response import ListenV1Response
from elevenlabs.types.speech_to_text_chunk_response_model import SpeechToTextChunkResponseModel

from services.transcriber.cloud_ports import AudioSource, Heard, SpeechOrder
from services.transcriber.providers.cloud.assemblyai import AssemblyAI
from services.transcriber.providers.cloud.deepgram import Deepgram
from services.transcriber.providers.cloud.elevenlabs import ElevenLabs
from services.transcriber.providers.cloud.http import ProviderHttp
from shared.domain.errors import PermanentFailure
from shared.domain.ids import new_id
from shared.domain.transcript import Transcript

ADAPTERS = {"deepgram": Deepgram, "assemblyai": AssemblyAI, "elevenlabs": ElevenLabs}
READ_BY_SDK = {
    "deepgram": ListenV1Response.model_validate_json,
    "assemblyai": assemblyai.types.TranscriptResponse.model_validate_json,
    "elevenlabs": SpeechToTextChunkResponseModel.model_validate_json,
}
ENGLISH = {"deepgram": "en-US", "assemblyai": "en_us", "elevenlabs": "eng"}
RATE = 16_000


class Noting(ProviderHttp):
    """The connection as it is, and the last body that came over it."""

    last = b""

    async def exchange(self, method, path, **options):
        self.last = await super().exchange(method, path, **options)
        return self.last


class Client:
    """An adapter at one service; what it ordered is deleted there at the end."""

    def __init__(self, service):
        self.service, self.ordered = service, []
        self.http = Noting(service.name, service.url)
        self.provider = ADAPTERS[service.name](self.http)

    def order(self, content, *, url=None, key=None, **fields):
        """An order of this audio: the bytes of a WAV file, unless it is to be fetched."""

        async def pieces():
            for start in range(0, len(content), 250_000):
                yield content[start : start + 250_000]

        audio = AudioSource(content_type="audio/wav", filename="speech.wav", size_bytes=len(content), open=pieces, url=url)
        duration_ms = fields.pop("duration_ms", 30_000)
        reference = new_id("txn")
        return SpeechOrder(reference=reference, api_key=key or self.service.key, audio=audio, duration_ms=duration_ms, **fields)

    async def place(self, order):
        """Place the order and note under which id it is kept."""
        outcome = await self.provider.place(order)
        self._note(outcome)
        return outcome

    async def heard(self, order):
        """Place the order and ask until it is done, as the queue would."""
        return await self.finished(order, await self.place(order))

    async def finished(self, order, outcome):
        """Return the transcript of an order of which this is the outcome up to now."""
        return outcome.transcript if isinstance(outcome, Heard) else await self.collected(order, outcome.job_id)

    async def collected(self, order, job_id):
        """Ask for the job until it is done."""
        async with asyncio.timeout(self.service.patience_s):
            while not isinstance(outcome := await self.provider.collect(order, job_id), Transcript):
                self._note(outcome)
                job_id = outcome.job_id if outcome else job_id
                await asyncio.sleep(self.service.pause_s)
        return outcome

    def read_by_sdk(self):
        """Return the last answer as the provider's own SDK reads it; raises where it does not."""
        return READ_BY_SDK[self.service.name](self.http.last)

    def _note(self, outcome):
        job_id = getattr(outcome, "job_id", None)
        if job_id and self.provider.keeps(job_id) and job_id not in self.ordered:
            self.ordered.append(job_id)

    async def close(self):
        for job_id in self.ordered:
            await self.provider.forget(self.service.key, job_id)
        await self.http.close()


async def failure_of(awaitable):
    """The permanent failure that it ends with, or nothing and its outcome."""
    try:
        return None, await awaitable
    except PermanentFailure as failure:
        return failure, None


def silence(seconds):
    """A WAV file of nothing."""
    return wav(np.zeros((round(seconds * RATE), 1), np.int16))


def side_by_side(left, right):
    """A WAV file with one of two recordings in each of its channels."""
    channels = [_samples(path) for path in (left, right)]
    both = np.zeros((max(map(len, channels)), 2), np.int16)
    for number, channel in enumerate(channels):
        both[: len(channel), number] = channel
    return wav(both)


def wav(samples):
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return content.getvalue()


def _samples(path):
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)
