"""What the transcriber needs of the world: of an engine that runs here, and of the stores."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from shared.domain.config.forms import ProcessingConfig
from shared.domain.provider_order import ProviderOrder
from shared.domain.recording import Recording
from shared.domain.stored_object import StoredObject
from shared.domain.tenant import Tenant
from shared.domain.transcript import Segment, Transcript
from shared.domain.transcription import ProviderName, Transcription, TranscriptionProgress
from shared.events.event import Event
from shared.uploads import Downloads
from shared.workers.leases import Change

MOST_CHANNELS = 8
"""A file with more is no conversation: its channels are not told apart."""


class SpeechRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One recording to transcribe.

    `language` is a base code (`en`), or absent to have it detected. `duration_ms` is what the probe said, for the progress
    only: the transcript carries the duration of what was decoded. `num_speakers` is how many people speak, where that is
    known; `multichannel` says that each channel is one of them. `hints` are words that are likely to be said, as they are
    to be written.
    """

    audio_path: Path
    language: str | None = None
    diarization: bool = False
    duration_ms: int | None = None
    num_speakers: int | None = None
    multichannel: bool = False
    hints: str | None = None


class Progress(msgspec.Struct, frozen=True):
    """How much of the audio is done, 0 to 1 and never falling, and what is being done to it.

    `heard` is what was heard since the last report; who said it may be told later only.
    """

    fraction: float
    stage: str
    heard: tuple[Segment, ...] = ()


OnProgress = Callable[[Progress], None]


class Provider(Protocol):
    """Turns speech into a transcript; one that can be cancelled, and that never blocks the event loop."""

    @property
    def name(self) -> str:
        """The provider's name on the wire."""
        ...

    async def transcribe(self, request: SpeechRequest, on_progress: OnProgress) -> Transcript:
        """The transcript of `request`; silence gives an empty one.

        Raises `PermanentFailure` (`audio_too_short`, `audio_corrupt`, `unsupported_format`) when the audio is at fault and
        `TransientFailure` when the same request may succeed later. A cancelled request stops its work.
        """
        ...


class RecordingStore(Protocol):
    """The recordings."""

    async def get(self, tenant: Tenant, aggregate_id: str) -> Recording | None:
        """Return the recording, unless deleted."""

    async def save(self, before: Recording, after: Recording, *events: Event) -> Recording:
        """Replace `before` by `after` and queue `events`, in one write; raises `VersionConflict`."""

    async def due_for_transcription(self, older_than: datetime, limit: int, but: Sequence[str]) -> Sequence[Recording]:
        """Return recordings whose automatic transcription nobody has decided since `older_than`, but for those of these ids."""


class TranscriptionStore(Protocol):
    """The transcriptions."""

    @property
    def name(self) -> str:
        """The collection's name, by which the relay knows its outboxes."""

    async def start(self, transcription: Transcription, event: Event) -> bool:
        """Store a new transcription with its event; False when it, or another active one of the recording, is there."""

    async def newest_of(self, tenant: Tenant, recording_id: str) -> Transcription | None:
        """Return the recording's newest transcription."""

    async def delete_of(self, tenant: Tenant, recording_id: str) -> None:
        """Delete the transcriptions of a recording that is itself deleted; their jobs stop."""


class TranscriptStore(Protocol):
    """The transcripts."""

    async def put(self, transcription: Transcription, transcript: Transcript) -> bool:
        """Store the transcript; False when a newer claim has stored its own."""


class ProcessingConfigs(Protocol):
    """The `processing` section of the hierarchical configuration."""

    async def processing(
        self, tenant: Tenant, *, end_user_id: str | None = None, device_id: str | None = None
    ) -> ProcessingConfig:
        """Return what counts for a recording of these owners; raises `ConfigUnreadable`."""


class Claims(Protocol):
    """The claimed jobs."""

    async def finish(self, claimed: Transcription, change: Change[Transcription]) -> Transcription:
        """Write the claim's result with its events; raises `LeaseLost`."""


class ResultStore(Protocol):
    """Where a finished transcript goes."""

    async def store(self, transcription: Transcription, transcript: Transcript) -> Transcription:
        """Store the text, then complete the transcription; raises `LeaseLost` when a newer claim holds it."""


class AudioLocator(Downloads, Protocol):
    """The object store, as providers on the network may read it too, and where their answers wait to be read."""

    async def put(self, key: str, body: bytes, size_bytes: int, content_type: str) -> StoredObject:
        """Store the object."""

    def presigned_get(self, key: str, expires_s: int, *, filename: str | None = None) -> str:
        """Return a URL that reads the object."""


class OrderStore(Protocol):
    """The orders at providers on the network, as far as something may come or is kept there."""

    async def keep(self, order: ProviderOrder) -> None:
        """Store the order, or add its tokens and copies to those of the one that is there."""

    async def unmark(self, transcription: Transcription) -> None:
        """Forget by what the transcription's order could be found."""

    async def end(self, transcription: Transcription) -> None:
        """Have what is left of the transcription's order looked at now."""

    async def claim_due(self, until: datetime) -> ProviderOrder | None:
        """Return an order that is due, which nobody else gets before `until`."""

    async def look_again(self, order: ProviderOrder, at: datetime) -> None:
        """Have the order looked at again at that time."""

    async def try_again(self, order: ProviderOrder, at: datetime) -> None:
        """Note that copies could not be deleted, and have it tried again at that time."""

    async def close(self, order: ProviderOrder, expires_at: datetime) -> None:
        """Note that nothing is left to do, unless the order has changed."""


class PresentTranscriptions(Protocol):
    """The transcriptions, as they stand."""

    async def get(self, tenant: Tenant, aggregate_id: str) -> Transcription | None:
        """Return the transcription, unless deleted."""


class AnswerObjects(Protocol):
    """The object store, where answers wait to be read."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete the objects; those that do not exist are fine."""


class ProviderKeys(Protocol):
    """The keys for providers on the network."""

    async def key(self, tenant: Tenant, provider: ProviderName) -> str | None:
        """Return the project's own key, else the installation's, else None."""


class ProviderSecrets(Protocol):
    """The projects' own keys for providers on the network."""

    async def secret(self, tenant: Tenant, provider: ProviderName) -> str | None:
        """Return the key itself, None when the project has none."""


class ChannelsAlike(Protocol):
    """What listens to a file's channels, beside the event loop."""

    async def __call__(self, path: Path) -> bool:
        """Say whether all channels are surely the same."""


class ProgressStore(Protocol):
    """Where progress is shown."""

    async def report(self, claimed: Transcription, progress: TranscriptionProgress) -> None:
        """Show the progress; a claim that is not the newest shows nothing."""


class PartialStore(Protocol):
    """Where the text so far is kept; the whole one takes its place."""

    async def put(self, transcription: Transcription, transcript: Transcript, *, whole: bool) -> bool:
        """Keep it; False when a newer claim has kept its own, or this one the whole."""
