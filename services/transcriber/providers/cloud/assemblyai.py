"""AssemblyAI, pre-recorded audio: `/v2/upload` and `/v2/transcript` of its API reference.

A job is placed, has an id, and is asked for until it is done. Bytes that we upload first are kept as a job id of their own
(`upload:` and their URL), so that neither the upload nor the order is ever paid for again.
"""

from typing import Any

import msgspec

from services.transcriber.cloud_ports import Heard, Placed, ProviderUnavailable, SpeechOrder
from services.transcriber.ports import MOST_CHANNELS
from services.transcriber.providers.cloud.http import ProviderHttp, reason_said
from services.transcriber.providers.cloud.spoken import (
    Length,
    Milliseconds,
    Speakers,
    on_channel,
    spoken_transcript,
)
from services.transcriber.providers.cloud.vocabulary import taken
from services.transcriber.writing import is_spaced
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.transcript import Transcript, Word
from shared.domain.transcription import ProviderName

UPLOADED = "upload:"
_RECENT = 200  # the most that one page of the listing holds
_GONE = frozenset({404})
_NOT_FOUND = "not found"  # what a 400 says of a job that is not there
_DELETED = "deleted_by_user"  # what stands for the audio of a job that was deleted there; it is "completed", of no words
_CHANNEL_DIGITS = 3
_NOTHING_SAID = "no spoken audio"  # what language detection answers for silence


class Uploaded(msgspec.Struct):
    """Where the uploaded bytes lie, for this account only."""

    upload_url: str


class HeardWord(msgspec.Struct):
    """A word with its punctuation; milliseconds."""

    text: str
    start: Milliseconds
    end: Milliseconds
    confidence: float | None = None
    speaker: str | None = None
    channel: str | None = None


class Job(msgspec.Struct):
    """A job; words and duration (seconds) once it is completed, `error` in words when it failed."""

    id: str
    status: str
    audio_url: str = ""
    error: str | None = None
    language_code: str | None = None
    audio_duration: Length | None = None
    words: list[HeardWord] | None = None


class Listing(msgspec.Struct):
    """The newest jobs of the account."""

    transcripts: list[Job]


class AssemblyAI:
    """The provider `assemblyai`."""

    name = ProviderName.ASSEMBLYAI
    most_channels = MOST_CHANNELS
    calls_back = False
    finds_orders = True

    def __init__(self, http: ProviderHttp, *, model: str = "best") -> None:
        self._http, self._model = http, model

    async def place(self, order: SpeechOrder) -> Placed:
        """Order by URL, or upload the bytes, to be ordered when they are collected."""
        if order.audio.url is not None:
            return await self._order(order, order.audio.url)
        of_body = {"Content-Type": "application/octet-stream", "Content-Length": str(order.audio.size_bytes)}
        headers = _key(order.api_key) | of_body
        uploaded = await self._http.ask("POST", "/v2/upload", Uploaded, headers=headers, data=order.audio.open())
        return Placed(UPLOADED + uploaded.upload_url)

    async def collect(self, order: SpeechOrder, job_id: str) -> Placed | Transcript | None:
        """Return the job's transcript once it is completed; an upload is ordered first, once."""
        if job_id.startswith(UPLOADED):
            url = job_id.removeprefix(UPLOADED)
            return await self._found(order.api_key, url) or await self._order(order, url)
        body = await self._http.exchange("GET", f"/v2/transcript/{job_id}", headers=_key(order.api_key))
        job = self._http.read(body, Job)
        if job.status in {"queued", "processing"}:
            return None
        return _transcript(job, order)

    async def recover(self, order: SpeechOrder) -> Placed | None:
        """Find the job by our reference, which stands in the URL of its audio."""
        return await self._found(order.api_key, order.reference)

    def read(self, body: bytes, order: SpeechOrder) -> Heard:
        """Return the transcript in a completed job."""
        job = self._http.read(body, Job)
        return Heard(_transcript(job, order), body, job.id)

    def keeps(self, job_id: str) -> bool:
        """Say whether it is a job: its audio goes with it, an upload that nothing was ordered of by itself."""
        return not job_id.startswith(UPLOADED)

    async def forget(self, api_key: str, job_id: str) -> None:
        """Delete the job: its text, and the audio that was uploaded for it."""
        try:
            await self._http.exchange("DELETE", f"/v2/transcript/{job_id}", headers=_key(api_key), absent=_GONE)
        except PermanentFailure as failure:
            if _NOT_FOUND not in failure.message:
                raise

    async def forget_marked(self, api_key: str, mark: str) -> None:
        """Delete the job of our reference, or of an upload, if there is one."""
        if (found := await self._found(api_key, mark.removeprefix(UPLOADED))) is not None:
            await self.forget(api_key, found.job_id)

    async def _order(self, order: SpeechOrder, audio_url: str) -> Placed:
        wanted: dict[str, Any] = {"audio_url": audio_url, "speech_model": self._model, "punctuate": True, "format_text": True}
        wanted |= {"language_code": order.language} if order.language else {"language_detection": True}
        if order.multichannel:
            wanted["multichannel"] = True
        elif order.diarization:
            wanted["speaker_labels"] = True
            if order.num_speakers is not None:
                wanted["speakers_expected"] = order.num_speakers
        if terms := taken(order.vocabulary, most_words=6, most_letters=64):
            wanted["word_boost"] = terms
        job = await self._http.ask("POST", "/v2/transcript", Job, headers=_key(order.api_key), json=wanted)
        return Placed(job.id)

    async def _found(self, api_key: str, mark: str) -> Placed | None:
        listing = await self._http.ask("GET", "/v2/transcript", Listing, headers=_key(api_key), params={"limit": str(_RECENT)})
        return next((Placed(job.id) for job in listing.transcripts if mark in job.audio_url), None)


def _key(api_key: str) -> dict[str, str]:
    return {"Authorization": api_key}


def _transcript(job: Job, order: SpeechOrder) -> Transcript:
    if job.status == "error":
        said = job.error or "no reason given"
        if _NOTHING_SAID not in said:
            raise PermanentFailure(reason_said(said), f"assemblyai: {said[:200]}")
    elif job.status != "completed":
        raise ProviderUnavailable(f"assemblyai answered the unknown status {job.status[:40]!r}")
    elif _DELETED in job.audio_url:
        raise PermanentFailure(FailureReason.PROCESSING_ERROR, "assemblyai: the job was deleted there before its text was had")
    language = job.language_code or order.language
    gap, speakers = " " if is_spaced(language) else "", Speakers()
    words = [
        Word(
            word=gap + item.text,
            start=item.start / 1000,
            end=item.end / 1000,
            confidence=item.confidence,
            speaker=on_channel(_numbered(item.channel)) if order.multichannel else speakers.name(item.speaker),
        )
        for item in sorted(job.words or [], key=lambda item: item.start)
    ]
    duration_ms = order.duration_ms or round((job.audio_duration or 0) * 1000)
    return spoken_transcript(words, order, language=language, duration_ms=duration_ms)


def _numbered(channel: str | None) -> int | None:
    """Return the number from 0 of a channel that is counted from 1."""
    return int(channel) - 1 if channel is not None and channel.isdecimal() and len(channel) <= _CHANNEL_DIGITS else None
