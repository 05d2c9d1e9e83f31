"""What MongoDB's driver raises, in our words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymongo.errors import ConnectionFailure, DuplicateKeyError, ExecutionTimeout, PyMongoError, WriteConcernError

from shared.domain.errors import AlreadyExists, TransientFailure

DUPLICATE_KEY = 11000


class StoreUnavailable(TransientFailure):
    """MongoDB did not answer, or could not confirm a write; whether the write happened is unknown."""


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except DuplicateKeyError as error:
        raise AlreadyExists(str(error.details and error.details.get("keyValue"))) from error
    except (ConnectionFailure, ExecutionTimeout, WriteConcernError) as error:
        raise StoreUnavailable(str(error)) from error
    except PyMongoError as error:
        if error.has_error_label("RetryableWriteError") or error.has_error_label("TransientTransactionError"):
            raise StoreUnavailable(str(error)) from error
        raise
