"""What the object store says about an object, and the ways in which it does not answer as hoped."""

from datetime import datetime

import msgspec

from shared.domain.errors import FailureReason, PermanentFailure, TransientFailure


class StoredObject(msgspec.Struct, frozen=True):
    """One object as the store describes it; `etag` without quotes, an MD5 only where the store makes it one."""

    key: str
    size_bytes: int
    etag: str
    last_modified: datetime | None = None


class ObjectMissing(PermanentFailure):
    """The object does not exist; a recording whose audio is gone fails by it."""

    def __init__(self, key: str) -> None:
        super().__init__(FailureReason.OBJECT_MISSING, "the audio is not in the object store")
        self.key = key


class BodyMismatch(Exception):
    """The body handed over was not as long as announced; nothing was stored. The sender's fault."""


class ObjectChanged(TransientFailure):
    """The object is not the one that was asked for: it was replaced in between."""


class UploadReplaced(PermanentFailure):
    """A completed upload's object is another one now, by its still valid pre-signed URL: nothing is made of what replaced it."""

    def __init__(self) -> None:
        super().__init__(FailureReason.CONTENT_HASH_MISMATCH, "the upload was replaced after it was completed")


class ObjectStoreUnavailable(TransientFailure):
    """The store gave no answer, or said that it cannot answer now."""


class ObjectStoreRefused(TransientFailure):
    """The store refused a proper request (credentials, missing bucket, quota): the operator's fault, never the recording's."""
