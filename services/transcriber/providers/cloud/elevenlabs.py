"""ElevenLabs Scribe: `POST /v1/speech-to-text` of its API reference.

It answers in the same exchange, and keeps the transcript under an id by which it can be had again. An account that has a webhook
of its own may be asked to answer at once with that id alone (`asynchronous`), by which the transcript is then collected.
"""

import math
from typing import Any

import aiohttp
import msgspec

from services.transcriber.cloud_ports import Heard, Placed, ProviderUnavailable, SpeechOrder
from services.transcriber.providers.cloud.http import ProviderHttp
from services.transcriber.providers.cloud.spoken import Length, Seconds, Speakers, on_channel, spoken_transcript
from services.transcriber.providers.cloud.vocabulary import taken
from shared.domain.transcript import Transcript, Word
from shared.domain.transcription import ProviderName

PATIENCE_S = 1800.0
_PATH = "/v1/speech-to-text"
_ABSENT = frozenset({404})


class HeardWord(msgspec.Struct):
    """A word, the space between two, or a sound; seconds."""

    text: str
    type: str
    start: Seconds | None = None
    end: Seconds | None = None
    speaker_id: str | None = None
    logprob: float | None = None
    channel_index: int | None = None


class Answer(msgspec.Struct):
    """What was heard, and under which id it is kept."""

    language_code: str
    words: list[HeardWord]
    audio_duration_secs: Length | None = None
    transcription_id: str | None = None


class Accepted(msgspec.Struct):
    """Under which id the transcript will be kept that is worked on later."""

    transcription_id: str | None = None


class ElevenLabs:
    """The provider `elevenlabs`."""

    name = ProviderName.ELEVENLABS
    most_channels = 5
    calls_back = False
    finds_orders = False

    def __init__(self, http: ProviderHttp, *, model: str = "scribe_v1", asynchronous: bool = False) -> None:
        self._http, self._model, self._asynchronous = http, model, asynchronous

    async def place(self, order: SpeechOrder) -> Placed | Heard:
        """Send the audio; the answer is the transcript, or when asynchronous the transcription's id."""
        request: dict[str, Any] = {"headers": _key(order), "data": self._form(order)}
        if not self._asynchronous:
            body = await self._http.exchange("POST", _PATH, patience_s=PATIENCE_S, **request)
            return self.read(body, order)
        accepted = await self._http.ask("POST", _PATH, Accepted, **request)
        if accepted.transcription_id is None:
            raise ProviderUnavailable("elevenlabs took the order without an id: is a webhook configured in the account?")
        return Placed(accepted.transcription_id)

    async def collect(self, order: SpeechOrder, job_id: str) -> Transcript | None:
        """Return the transcript once it is there."""
        body = await self._http.exchange("GET", f"{_PATH}/transcripts/{job_id}", headers=_key(order), absent=_ABSENT)
        return self.read(body, order).transcript if body else None

    async def recover(self, _order: SpeechOrder) -> None:
        """Find nothing: there is no listing of transcriptions by a mark of ours."""
        return

    def read(self, body: bytes, order: SpeechOrder) -> Heard:
        """Return the transcript in an answer."""
        answer = self._http.read(body, Answer)
        seconds = answer.audio_duration_secs
        duration_ms = order.duration_ms if seconds is None else round(seconds * 1000)
        words, language = _words(answer.words, order), answer.language_code
        transcript = spoken_transcript(words, order, language=language, duration_ms=duration_ms)
        return Heard(transcript, body, answer.transcription_id)

    def keeps(self, _job_id: str) -> bool:
        """Say yes: every transcript is kept."""
        return True

    async def forget(self, api_key: str, job_id: str) -> None:
        """Delete the transcript."""
        await self._http.exchange("DELETE", f"{_PATH}/transcripts/{job_id}", headers={"xi-api-key": api_key}, absent=_ABSENT)

    async def forget_marked(self, _api_key: str, _mark: str) -> None:
        """Do nothing: an order is not found again."""

    def _form(self, order: SpeechOrder) -> aiohttp.FormData:
        form = aiohttp.FormData(default_to_multipart=True)
        fields: dict[str, Any] = {
            "model_id": self._model,
            "timestamps_granularity": "word",
            "tag_audio_events": "false",
            "diarize": str(order.diarization and not order.multichannel).lower(),
            "language_code": order.language,
            "num_speakers": order.num_speakers if order.diarization and not order.multichannel else None,
            "use_multi_channel": "true" if order.multichannel else None,
            "multichannel_output_style": "combined" if order.multichannel else None,
            "source_url": order.audio.url,
        }
        if self._asynchronous:
            fields |= {"webhook": "true", "webhook_metadata": msgspec.json.encode({"reference": order.reference}).decode()}
        for name, value in fields.items():
            if value is not None:
                form.add_field(name, str(value))
        for term in taken(order.vocabulary, most_words=5, most_letters=50, never="<>{}[]\\"):
            form.add_field("keyterms", term)
        if order.audio.url is None:
            form.add_field("file", order.audio.open(), filename=order.audio.filename, content_type=order.audio.content_type)
        return form


def _key(order: SpeechOrder) -> dict[str, str]:
    return {"xi-api-key": order.api_key}


def _words(heard: list[HeardWord], order: SpeechOrder) -> list[Word]:
    """Return the words, each with the space that came before it in its channel; sounds that are no words are passed over."""
    speakers, words, reached = Speakers(), [], 0.0
    gaps: dict[int | None, str] = {}
    channel = None
    for item in heard:
        channel = channel if item.channel_index is None else item.channel_index
        if item.type != "word":
            gaps[channel] = item.text if item.type == "spacing" else " "
            continue
        start = reached if item.start is None else item.start
        reached = start if item.end is None else item.end
        words.append(
            Word(
                word=gaps.pop(channel, "") + item.text,
                start=start,
                end=reached,
                confidence=None if item.logprob is None else math.exp(min(item.logprob, 0.0)),
                speaker=on_channel(item.channel_index) if order.multichannel else speakers.name(item.speaker_id),
            )
        )
    return words
