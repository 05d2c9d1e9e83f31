"""What stitching needs of the world."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from shared.domain.recording import Recording
from shared.domain.stored_object import StoredObject
from shared.domain.tenant import Tenant
from shared.events.event import Event
from shared.uploads import Downloads
from shared.workers.leases import Change


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a media file. `duration_ms` is measured; without audio, `codec` names the video's and the rest is 0."""

    content_type: str
    codec: str
    sample_rate_hz: int
    channels: int
    duration_ms: int
    has_video: bool


class Probed(Inspected, frozen=True, kw_only=True):
    """What is in a media file, and the file itself."""

    size_bytes: int
    sha256: str


class Joined(msgspec.Struct, frozen=True):
    """The joined file, what is in it, and how it came about."""

    path: Path
    content_type: str
    extension: str
    codec: str
    sample_rate_hz: int
    channels: int
    duration_ms: int
    size_bytes: int
    sha256: str
    md5: str
    chunks_md5: str  # of the chunk bytes in order
    method: str  # concatenate | remux | reencode | pcm


class AudioStore(Downloads, Protocol):
    """The object store."""

    async def list(self, prefix: str) -> Sequence[StoredObject]:
        """Return every object below `prefix`, sorted by key."""

    async def upload(self, path: Path, key: str, content_type: str) -> StoredObject:
        """Stream a file to an object, verified; returns it as stored."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those already gone are no error."""


class RecordingStore(Protocol):
    """The recordings."""

    async def get(self, tenant: Tenant, aggregate_id: str) -> Recording | None:
        """Return the recording, unless deleted."""

    async def save(self, before: Recording, after: Recording, *events: Event) -> Recording:
        """Replace `before` by `after` and queue `events`, in one write; raises `VersionConflict`."""

    async def manifest(self, tenant: Tenant, recording_id: str) -> bytes | None:
        """Return the manifest that was saved with the recording."""

    async def to_sweep(self, before: datetime, limit: int) -> Sequence[Recording]:
        """Return recordings whose sweep has been due since `before`."""


class Claims(Protocol):
    """The claimed jobs."""

    async def finish(self, claimed: Recording, change: Change[Recording]) -> Recording:
        """Write the claim's result with its events; raises `LeaseLost`."""


class AudioWorker(Protocol):
    """The work on audio files, in a process that can be killed."""

    async def join(self, chunks: Sequence[Path], work: Path, declared_ms: int) -> Joined:
        """Join chunks, in order and declared to last so long (0: not declared), into one file below `work`."""

    async def probe(self, path: Path) -> Probed:
        """Read what a file holds."""

    async def sha256(self, path: Path) -> str:
        """Hash a file."""


class ErasableObjects(Protocol):
    """The bucket, of which whole recordings are erased."""

    async def erase(self, prefix: str) -> int:
        """Delete every object below `prefix`; return how many were found."""


class DeletedRecordings(Protocol):
    """The deleted recordings of which something may be left."""

    async def to_erase(self, limit: int) -> Sequence[Recording]:
        """Return those of which a sweep is due."""

    async def save(self, before: Recording, after: Recording, *events: Event) -> Recording:
        """Replace `before` by `after`; raises `VersionConflict`."""

    async def remove(self, recording: Recording) -> bool:
        """Remove one for good; False while its outbox holds an event."""


class DeletedTranscriptions(Protocol):
    """The transcriptions of deleted recordings."""

    async def delete_of(self, tenant: Tenant, recording_id: str) -> None:
        """Delete those of a recording; whoever works on one has lost its lease."""

    async def remove_of(self, tenant: Tenant, recording_id: str) -> bool:
        """Remove the deleted ones for good; False while an outbox of them holds an event."""


class Texts(Protocol):
    """A collection that holds texts of recordings: transcripts, events, deliveries."""

    async def erase_texts(self, tenant: Tenant, recording_id: str) -> None:
        """Erase what it holds of a deleted recording; a replay finds nothing to erase."""
