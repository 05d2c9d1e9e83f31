"""Projects' keys for speech providers, in memory."""

from shared.domain.clock import now
from shared.domain.provider_key import ProviderKey, provider_key_id


class FakeProviderKeys:
    def __init__(self):
        self.rows = {}

    async def put(self, tenant, provider, secret):
        key_id = provider_key_id(tenant, provider)
        created_at = self.rows[key_id].created_at if key_id in self.rows else now()
        self.rows[key_id] = ProviderKey(
            id=key_id,
            project_id=tenant.project_id,
            mode=tenant.mode,
            provider=provider,
            sealed=f"sealed:{secret[::-1]}",
            hint=f"…{secret[-4:]}" if len(secret) >= 16 else "…",
            created_at=created_at,
            updated_at=now(),
        )
        return self.rows[key_id]

    async def of_tenant(self, tenant):
        mine = [row for row in self.rows.values() if (row.project_id, row.mode) == (tenant.project_id, tenant.mode)]
        return sorted(mine, key=lambda row: row.id)

    async def remove(self, tenant, provider):
        return self.rows.pop(provider_key_id(tenant, provider), None) is not None
