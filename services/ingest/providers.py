"""Which speech providers a project can use, and which languages each of them takes."""

from collections.abc import Set as AbstractSet

from services.ingest.ports import ProviderKeyStore
from services.ingest.refusals import ProviderNotConfigured, UnsupportedLanguage
from shared.domain.languages import LANGUAGES
from shared.domain.tenant import Tenant
from shared.domain.transcription import ProviderName


class ConfiguredProviders:
    """The providers that a project can use: those of the installation, and those it has a key of its own for."""

    def __init__(self, installed: AbstractSet[ProviderName], keys: ProviderKeyStore) -> None:
        self._installed, self._keys = installed, keys

    async def of(self, tenant: Tenant | None, wanted: AbstractSet[ProviderName]) -> AbstractSet[ProviderName]:
        """Return them; for no project those of the installation. The store is asked only when `wanted` needs it."""
        if tenant is None or wanted <= self._installed:
            return self._installed
        return self._installed | {key.provider for key in await self._keys.of_tenant(tenant)}


def refuse_unless_configured(provider: ProviderName, configured: AbstractSet[ProviderName], *, param: str) -> None:
    """Refuse a provider that this installation cannot reach, naming those that it can; `param` names the field at fault."""
    if provider not in configured:
        details = {"configured_providers": sorted(configured)}
        raise ProviderNotConfigured(f"{provider} is not configured here", param=param, details=details)


def accepted_language(provider: ProviderName, language: str | None, *, param: str) -> str | None:
    """Return the language as the provider takes it; refuses, naming the accepted format and the field, when it does not."""
    if language is None:
        return None
    accepted = LANGUAGES[provider].accept(language)
    if accepted is None:
        raise UnsupportedLanguage(f"{provider} takes {LANGUAGES[provider].form}; not {language[:80]}", param=param)
    return accepted
