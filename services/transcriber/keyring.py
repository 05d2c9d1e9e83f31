"""Which key is used for a provider on the network: the project's own, else the installation's."""

from collections.abc import Mapping

from services.transcriber.ports import ProviderSecrets
from shared.domain.tenant import Tenant
from shared.domain.transcription import ProviderName


class Keyring:
    """Finds keys; a project's own is read anew each time, so that one that was replaced is felt at once."""

    def __init__(self, own: ProviderSecrets, installed: Mapping[ProviderName, str]) -> None:
        self._own, self._installed = own, installed

    async def key(self, tenant: Tenant, provider: ProviderName) -> str | None:
        """Return the key, None when there is none."""
        return await self._own.secret(tenant, provider) or self._installed.get(provider)
