"""What a client sees of a project's keys for speech providers."""

import msgspec

from shared.domain.clock import wire_time
from shared.domain.provider_key import ProviderKey


class ProviderKeyView(msgspec.Struct, kw_only=True):
    """A key, without its secret; `hint` is its end."""

    provider: str
    hint: str
    created_at: str
    updated_at: str


class ProviderKeysView(msgspec.Struct, kw_only=True):
    """The keys of a project."""

    data: list[ProviderKeyView]


def provider_key_view(key: ProviderKey) -> ProviderKeyView:
    """Show a key."""
    return ProviderKeyView(
        provider=key.provider, hint=key.hint, created_at=wire_time(key.created_at), updated_at=wire_time(key.updated_at)
    )
