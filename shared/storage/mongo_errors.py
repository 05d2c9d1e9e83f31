"""What MongoDB's driver raises, in our words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pymongo
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

from shared.domain.errors import AlreadyExists, FailureReason, PermanentFailure, TransientFailure

DUPLICATE_KEY = 11000
ANSWER_WITHIN_S = 15.0
"""How long a call waits, for MongoDB and for one of the driver's few threads, before it is told of an outage. A shorter
outage, as the election of another primary, is waited out; of a longer one the last of a crowd hears as soon as the first."""

_ILLEGAL_OPERATION = 20
_TOO_LARGE = frozenset({10334, 17419, 17420})  # BSONObjectTooLarge; what an update, or an upsert, would make is


class StoreUnavailable(TransientFailure):
    """MongoDB did not answer, or could not confirm a write; whether the write happened is unknown."""


class TooLargeToKeep(PermanentFailure):
    """A document is larger than MongoDB takes, now and ever."""

    def __init__(self, said: str) -> None:
        super().__init__(FailureReason.PROCESSING_ERROR, f"the result is too large to be kept: {said}")


@asynccontextmanager
async def translated(within_s: float | None = ANSWER_WITHIN_S) -> AsyncIterator[None]:
    """Turn the driver's errors into ours; `StoreUnavailable` after `within_s` seconds (None: after the driver's own time).

    A wrong configuration is what the driver calls it, call after call, that the name in `mongodb+srv://` is not found.
    """
    try:
        with pymongo.timeout(within_s):
            yield
    except DuplicateKeyError as error:
        raise AlreadyExists(str(error.details and error.details.get("keyValue"))) from error
    except (ConfigurationError, ConnectionFailure, ExecutionTimeout, WriteConcernError) as error:
        raise StoreUnavailable(str(error)) from error
    except DocumentTooLarge as error:
        raise TooLargeToKeep(str(error)) from error
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code in _TOO_LARGE:
            raise TooLargeToKeep(str(error)[:200]) from error
        if isinstance(error, OperationFailure) and _numbered_in_vain(error):
            raise StoreUnavailable(str(error)) from error
        if error.has_error_label("RetryableWriteError") or error.has_error_label("TransientTransactionError"):
            raise StoreUnavailable(str(error)) from error
        raise


def refused_batch(error: BulkWriteError) -> StoreUnavailable:
    """Return what to raise, `from None`, of a batch of which not all was stored: the driver's own error repeats the documents."""
    kinds = ("writeErrors", "writeConcernErrors")
    codes = {kind: sorted({one.get("code", 0) for one in error.details.get(kind, ())}) for kind in kinds}
    return StoreUnavailable(f"not all of a batch was stored: {codes}")


def _numbered_in_vain(error: OperationFailure) -> bool:
    """Say whether a standalone server refused a write only for the number by which the driver would repeat it.

    The driver does not number writes there, but forgets that when it tries again after a new connection was refused.
    """
    said = str((error.details or {}).get("errmsg", ""))
    return error.code == _ILLEGAL_OPERATION and said.startswith("Transaction numbers")
