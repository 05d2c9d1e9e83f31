"""A project's own keys for speech providers on the network."""

from services.ingest.ports import ProviderKeyStore
from services.ingest.refusals import InvalidRequest, not_found
from shared.domain.caller import Caller
from shared.domain.provider_key import ON_THE_NETWORK, ProviderKey
from shared.domain.transcription import ProviderName


class ManageProviderKeys:
    """Keeps, lists and forgets a project's keys, apart for each mode; they are never shown again."""

    def __init__(self, keys: ProviderKeyStore) -> None:
        self._keys = keys

    async def put(self, caller: Caller, provider: str, secret: str) -> ProviderKey:
        """Keep the key; jobs that begin from now on use it."""
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise InvalidRequest("a provider's key is printable ASCII without spaces", param="api_key")
        return await self._keys.put(caller.tenant, _named(provider), secret)

    async def list(self, caller: Caller) -> list[ProviderKey]:
        """Return the project's keys, without their secrets."""
        return await self._keys.of_tenant(caller.tenant)

    async def remove(self, caller: Caller, provider: str) -> None:
        """Forget the key."""
        if not await self._keys.remove(caller.tenant, _named(provider)):
            raise not_found("key")


def _named(provider: str) -> ProviderName:
    if provider not in ON_THE_NETWORK:
        raise not_found("provider")
    return ProviderName(provider)
