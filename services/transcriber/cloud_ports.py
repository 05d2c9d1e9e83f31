"""What the transcriber needs of a speech provider on the network: orders that are placed once and collected later."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

from shared.domain.errors import TransientFailure
from shared.domain.transcript import Transcript
from shared.domain.transcription import ProviderName


class AudioSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the provider gets the audio: from `url` where it can reach our store, else from the bytes that `open` streams."""

    content_type: str
    filename: str
    size_bytes: int
    open: Callable[[], AsyncIterator[bytes]]
    url: str | None = None


class SpeechOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One recording to transcribe elsewhere.

    `reference` is ours and unique to the order; providers that can carry a mark carry it. `language` is a code in the
    provider's own form, or absent to have it detected. `callback_url` is where the result may be sent, where the provider
    offers that.
    """

    reference: str
    api_key: str
    audio: AudioSource
    duration_ms: int
    language: str | None = None
    diarization: bool = True
    num_speakers: int | None = None
    multichannel: bool = False
    vocabulary: tuple[str, ...] = ()
    callback_url: str | None = None


class Placed(msgspec.Struct, frozen=True):
    """An order that was taken: `job_id` is the provider's own, by which the result is collected later."""

    job_id: str


class Heard(msgspec.Struct, frozen=True):
    """What a provider answered, as it came and as a transcript; `job_id` is that under which it keeps it, if it does."""

    transcript: Transcript
    body: bytes
    job_id: str | None = None


class ProviderUnavailable(TransientFailure):
    """The provider did not answer, or not usably; the same request may succeed after `retry_after_s` seconds.

    `untaken`: it was not reached or said no, so what was asked has surely not been done.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, untaken: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s, self.untaken = retry_after_s, untaken


class CloudProvider(Protocol):
    """A provider on the network. Every method raises `ProviderUnavailable` or, when the order is at fault, `PermanentFailure`."""

    @property
    def name(self) -> ProviderName:
        """Its name on the wire."""
        ...

    @property
    def most_channels(self) -> int:
        """How many channels it tells apart; of a file with more it refuses to."""
        ...

    @property
    def calls_back(self) -> bool:
        """Whether it sends the result to the order's `callback_url` instead of being asked for it."""
        ...

    @property
    def finds_orders(self) -> bool:
        """Whether an order can be found again by our reference when the answer to it was lost (`recover`)."""
        ...

    async def place(self, order: SpeechOrder) -> Placed | Heard:
        """Place the order: its job, or at once the transcript where the provider answers in the same exchange."""
        ...

    async def collect(self, order: SpeechOrder, job_id: str) -> Placed | Transcript | None:
        """Return the transcript of a placed order, None while it is not ready, or the id under which it goes on."""
        ...

    async def recover(self, order: SpeechOrder) -> Placed | None:
        """Find the job of an order that may have been placed and whose answer was lost; None when there is none."""
        ...

    def read(self, body: bytes, order: SpeechOrder) -> Heard:
        """Return what is in a result, whether it came in the same exchange or to the callback."""
        ...

    def keeps(self, job_id: str) -> bool:
        """Say whether it keeps a copy under this id that it can be told to delete."""
        ...

    async def forget(self, api_key: str, job_id: str) -> None:
        """Have its copy deleted; one that is gone already is no error."""
        ...

    async def forget_marked(self, api_key: str, mark: str) -> None:
        """Have the copy deleted that can be found by our reference, or by the id that came before the job's, if there is one."""
        ...
