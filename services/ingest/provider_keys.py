"""A project's own keys for speech providers, and which providers it can use at all."""

from collections.abc import Set as AbstractSet

from services.ingest.ports import ProviderKeyStore
from services.ingest.refusals import InvalidRequest, not_found
from shared.domain.caller import Caller
from shared.domain.provider_key import ON_THE_NETWORK, ProviderKey
from shared.domain.tenant import Tenant
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


class ConfiguredProviders:
    """The providers that a project can use: those of the installation, and those it has a key of its own for."""

    def __init__(self, installed: AbstractSet[ProviderName], keys: ProviderKeyStore) -> None:
        self._installed, self._keys = installed, keys

    async def of(self, tenant: Tenant | None, wanted: AbstractSet[ProviderName]) -> AbstractSet[ProviderName]:
        """Return them; for no project those of the installation. The store is asked only when `wanted` needs it."""
        if tenant is None or wanted <= self._installed:
            return self._installed
        return self._installed | {key.provider for key in await self._keys.of_tenant(tenant)}


def _named(provider: str) -> ProviderName:
    if provider not in ON_THE_NETWORK:
        raise not_found("provider")
    return ProviderName(provider)
