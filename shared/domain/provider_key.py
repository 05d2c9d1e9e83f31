"""A project's own key for a speech provider on the network: sealed where it is kept, never shown again."""

from datetime import datetime

import msgspec

from shared.domain.tenant import Mode, Tenant
from shared.domain.transcription import ProviderName

ON_THE_NETWORK = frozenset({ProviderName.DEEPGRAM, ProviderName.ASSEMBLYAI, ProviderName.ELEVENLABS})
"""The providers that need a key; `whisper` runs here."""


class ProviderKey(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """The key as it is kept; `hint` is what people may see of it."""

    id: str
    project_id: str
    mode: Mode
    provider: ProviderName
    sealed: str
    hint: str
    created_at: datetime
    updated_at: datetime


def provider_key_id(tenant: Tenant, provider: ProviderName) -> str:
    """Return the one id of a tenant's key for a provider."""
    return f"{tenant.project_id}:{tenant.mode}:{provider}"
