"""`python -m services.ingest.reseal`: seal anew, under the first of the sealing keys, whatever is sealed under another."""

import asyncio
import sys

import msgspec

from shared.domain.errors import TransientFailure
from shared.sealing import KeyNotGiven, Sealing
from shared.settings import MongoSettings, SealingSettings, SettingsError, exit_on_settings_error, load
from shared.storage.mongo import Mongo
from shared.storage.provider_keys import ProviderKeys
from shared.storage.resealing import Resealed
from shared.storage.webhook_endpoints import WebhookEndpoints

_EXIT_UNAVAILABLE = 75  # EX_TEMPFAIL in sysexits.h
_EXIT_LEFT = 65  # EX_DATAERR


class ResealSettings(msgspec.Struct, frozen=True):
    """Where things are sealed, and the keys."""

    mongo: MongoSettings
    sealing: SealingSettings


def main() -> int:
    """Seal everything anew and say how much that was, and what was left; may be repeated, and run beside the services."""
    try:
        resealed = asyncio.run(_reseal(load(ResealSettings)))
    except SettingsError as error:
        exit_on_settings_error(error)
    except TransientFailure as failure:
        sys.stderr.write(f"not everything is sealed anew: {failure}\n")
        return _EXIT_UNAVAILABLE
    sys.stdout.write(f"sealed anew: {sum(one.documents for one in resealed)} documents\n")
    left = [reason for one in resealed for reason in one.left]
    for reason in left:
        sys.stderr.write(f"not sealed anew: {reason}\n")
    if any(isinstance(reason, KeyNotGiven) for reason in left):
        return _EXIT_UNAVAILABLE
    return _EXIT_LEFT if left else 0


async def _reseal(settings: ResealSettings) -> list[Resealed]:
    mongo = Mongo(settings.mongo)
    try:
        sealing = Sealing(settings.sealing.sealing_keys)
        return [await collection.reseal() for collection in (WebhookEndpoints(mongo, sealing), ProviderKeys(mongo, sealing))]
    finally:
        mongo.close()


if __name__ == "__main__":
    sys.exit(main())
