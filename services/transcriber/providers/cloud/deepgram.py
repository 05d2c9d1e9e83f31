"""Deepgram, pre-recorded audio: `POST /v1/listen` of its API reference.

It answers in the same exchange, or, where a callback is given, at once with a request id and later to the callback: with what it
would have answered, or with an error. It keeps neither audio nor transcripts.
"""

from collections import Counter
from typing import Any

import msgspec

from services.transcriber.cloud_ports import Heard, Placed, SpeechOrder
from services.transcriber.ports import MOST_CHANNELS
from services.transcriber.providers.cloud.http import ProviderHttp, reason_said
from services.transcriber.providers.cloud.spoken import Length, Seconds, Speakers, on_channel, spoken_transcript
from services.transcriber.providers.cloud.vocabulary import taken
from services.transcriber.writing import is_spaced
from shared.domain.errors import PermanentFailure
from shared.domain.transcript import Word
from shared.domain.transcription import ProviderName

PATIENCE_S = 900.0  # it ends a request by itself after ten minutes


class HeardWord(msgspec.Struct):
    """A word as it comes: seconds, and with its punctuation apart."""

    word: str
    start: Seconds
    end: Seconds
    confidence: float | None = None
    punctuated_word: str | None = None
    speaker: int | None = None


class Alternative(msgspec.Struct):
    """One reading of a channel."""

    words: list[HeardWord] = []


class Channel(msgspec.Struct):
    """One channel of the audio; the first alternative is the best."""

    alternatives: list[Alternative] = []
    detected_language: str | None = None


class Results(msgspec.Struct):
    """What was heard."""

    channels: list[Channel]


class Metadata(msgspec.Struct):
    """About the request: `duration` in seconds."""

    request_id: str
    duration: Length


class Answer(msgspec.Struct):
    """The whole answer."""

    metadata: Metadata
    results: Results


class Fault(msgspec.Struct):
    """What comes to a callback in place of an answer, in the older of its two forms or the newer."""

    err_msg: str | None = None
    message: str | None = None
    details: str | None = None


class Accepted(msgspec.Struct):
    """The answer to a request whose result goes to a callback."""

    request_id: str


class Deepgram:
    """The provider `deepgram`."""

    name = ProviderName.DEEPGRAM
    most_channels = MOST_CHANNELS
    calls_back = True
    finds_orders = False

    def __init__(self, http: ProviderHttp, *, model: str = "nova-2") -> None:
        self._http, self._model = http, model

    async def place(self, order: SpeechOrder) -> Placed | Heard:
        """Send the audio; the answer is the transcript, or with a callback the request's id."""
        request = self._request(order)
        if order.callback_url is not None:
            accepted = await self._http.ask("POST", "/v1/listen", Accepted, **request)
            return Placed(accepted.request_id)
        body = await self._http.exchange("POST", "/v1/listen", patience_s=PATIENCE_S, **request)
        return self.read(body, order)

    async def collect(self, _order: SpeechOrder, _job_id: str) -> None:
        """Wait: a result that was ordered with a callback comes by itself."""
        return

    async def recover(self, _order: SpeechOrder) -> None:
        """Find nothing: requests are listed without their marks, and with a key's right to usage only; results nowhere."""
        return

    def read(self, body: bytes, order: SpeechOrder) -> Heard:
        """Return the transcript in an answer; with several channels each is a speaker."""
        fault = self._http.read(body, Fault)
        if said := fault.err_msg or fault.message:
            raise PermanentFailure(reason_said(f"{said} {fault.details or ''}"), f"deepgram: {said[:200]}")
        answer = self._http.read(body, Answer)
        channels = answer.results.channels
        language, words = order.language or _most_spoken(channels), _words(channels, order)
        duration_ms = round(answer.metadata.duration * 1000) or order.duration_ms
        return Heard(spoken_transcript(words, order, language=language, duration_ms=duration_ms), body)

    def keeps(self, _job_id: str) -> bool:
        """Say no: a transcript that was answered is gone there."""
        return False

    async def forget(self, _api_key: str, _job_id: str) -> None:
        """Do nothing, for there is nothing."""

    async def forget_marked(self, _api_key: str, _mark: str) -> None:
        """Do nothing: an order is not found again."""

    def _request(self, order: SpeechOrder) -> dict[str, Any]:
        params: dict[str, str | list[str]] = {
            "model": self._model,
            "punctuate": "true",
            "smart_format": "true",
            "tag": order.reference,
        }
        params |= {"language": order.language} if order.language else {"detect_language": "true"}
        if terms := taken(order.vocabulary, most_words=8, most_letters=64, never=":"):  # what follows a colon is its weight
            params["keyterm" if self._model.startswith("nova-3") else "keywords"] = terms
        if order.multichannel:
            params["multichannel"] = "true"
        elif order.diarization:
            params["diarize"] = "true"
        if order.callback_url is not None:
            params["callback"] = order.callback_url
        headers = {"Authorization": f"Token {order.api_key}"}
        if order.audio.url is not None:
            return {"params": params, "headers": headers, "json": {"url": order.audio.url}}
        headers |= {"Content-Type": order.audio.content_type, "Content-Length": str(order.audio.size_bytes)}
        return {"params": params, "headers": headers, "data": order.audio.open()}


def _most_spoken(channels: list[Channel]) -> str | None:
    """Return the language of the most words: each channel has its own, and one of silence is no language's."""
    spoken: Counter[str] = Counter()
    for channel in channels:
        if channel.detected_language:
            spoken[channel.detected_language] += sum(len(reading.words) for reading in channel.alternatives[:1])
    return next((language for language, _ in spoken.most_common(1)), None)


def _words(channels: list[Channel], order: SpeechOrder) -> list[Word]:
    heard = [
        (number, item, " " if is_spaced(order.language or channel.detected_language) else "")
        for number, channel in enumerate(channels)
        for alternative in channel.alternatives[:1]
        for item in alternative.words
    ]
    heard.sort(key=lambda found: found[1].start)
    speakers = Speakers()
    return [
        Word(
            word=gap + (item.punctuated_word or item.word),
            start=item.start,
            end=item.end,
            confidence=item.confidence,
            speaker=on_channel(number) if order.multichannel else speakers.name(item.speaker),
        )
        for number, item, gap in heard
    ]
