"""The `provider_keys` collection: projects' own keys for speech providers, sealed."""

from pymongo import ASCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.provider_key import ProviderKey, provider_key_id
from shared.domain.tenant import Tenant
from shared.domain.transcription import ProviderName
from shared.sealing import SealBroken, Sealing
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo
from shared.storage.resealing import Resealed, reseal_each
from shared.storage.tenancy import BY_TENANT, owned_by

_HINT_CHARACTERS = 4
_SHORTEST_HINTED = 16  # of a shorter key four characters would say too much


class ProviderKeys:
    """One key per tenant and provider."""

    def __init__(self, mongo: Mongo, sealing: Sealing) -> None:
        self._documents = Documents(mongo.database["provider_keys"], ProviderKey)
        self._sealing = sealing

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes((IndexModel([*BY_TENANT, ("_id", ASCENDING)], name="of_tenant"),))

    async def put(self, tenant: Tenant, provider: ProviderName, secret: str) -> ProviderKey:
        """Keep the key in place of the one before, and return it as it is kept."""
        key_id, at = provider_key_id(tenant, provider), now()
        change = {
            "$set": {"sealed": self._sealing.seal(secret, key_id), "hint": _hint(secret), "updated_at": at},
            "$setOnInsert": owned_by(tenant) | {"provider": provider.value, "created_at": at},
        }
        kept = await self._documents.change({"_id": key_id}, change, upsert=True)
        assert kept is not None  # an upsert always leaves a document
        return kept

    async def of_tenant(self, tenant: Tenant) -> list[ProviderKey]:
        """Return the tenant's keys by provider, as they are kept."""
        return await self._documents.find(owned_by(tenant), (("_id", ASCENDING),), len(ProviderName))

    async def secret(self, tenant: Tenant, provider: ProviderName) -> str | None:
        """Return the key itself, None when the project has none.

        Raises `KeyNotGiven`, and `PermanentFailure` for one that was damaged: only its owner can put another in its place.
        """
        found = await self._documents.get(provider_key_id(tenant, provider))
        try:
            return None if found is None else self._sealing.open(found.sealed, found.id)
        except SealBroken as error:
            message = f"the project's own key for {provider} is damaged: it has to be stored anew"
            raise PermanentFailure(FailureReason.PROVIDER_NOT_CONFIGURED, message) from error

    async def reseal(self) -> Resealed:
        """Seal every key under the current sealing key that is not; may be repeated, and run beside changes."""

        def is_current(kept: ProviderKey) -> bool:
            return self._sealing.is_current(kept.sealed)

        async def reseal(kept: ProviderKey) -> bool:
            fresh = self._sealing.seal(self._sealing.open(kept.sealed, kept.id), kept.id)
            return await self._documents.update({"_id": kept.id, "sealed": kept.sealed}, {"$set": {"sealed": fresh}})

        return await reseal_each(self._documents, is_current, reseal)

    async def remove(self, tenant: Tenant, provider: ProviderName) -> bool:
        """Forget the key; return whether there was one."""
        return await self._documents.delete({"_id": provider_key_id(tenant, provider)})


def _hint(secret: str) -> str:
    return f"…{secret[-_HINT_CHARACTERS:]}" if len(secret) >= _SHORTEST_HINTED else "…"
