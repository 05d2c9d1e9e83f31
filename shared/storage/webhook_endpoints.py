"""The `webhook_endpoints` collection; signing secrets are sealed in it."""

import random
from datetime import datetime
from typing import Any

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.errors import AlreadyExists
from shared.domain.tenant import Tenant
from shared.domain.transition import VersionConflict
from shared.domain.webhook import MAX_ENDPOINTS, DisabledReason, EndpointStatus, WebhookEndpoint
from shared.sealing import KeyNotGiven, SealBroken, Sealing
from shared.storage.documents import NEWEST_FIRST, Documents, to_builtins
from shared.storage.mongo import Mongo
from shared.storage.resealing import Resealed, reseal_each
from shared.storage.tenancy import BY_TENANT, owned_by
from shared.telemetry.logs import get_logger

log = get_logger()


class WebhookEndpoints:
    """Endpoints by tenant; a deleted one stays as a row that nothing shows.

    Each living endpoint holds one of its tenant's numbered slots, under a unique index: so there are never more than
    `MAX_ENDPOINTS`, however many are made at the same moment.

    What an attempt tells counts only for the endpoint as it was attempted: an answer of the URL that it had then, or from
    before its owner enabled it again, says nothing of how it does now. Any other change of its owner's leaves out, too, what is
    under way at that moment; the next attempt tells the same.

    One whose secrets do not open, for the key is not given or they are damaged, is read without them and logged: it must not
    keep back the tenant's others.
    """

    def __init__(self, mongo: Mongo, sealing: Sealing) -> None:
        self._documents = Documents(mongo.database["webhook_endpoints"], WebhookEndpoint)
        self._sealing = sealing

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(
            (
                IndexModel([*BY_TENANT, ("deleted_at", ASCENDING), ("_id", DESCENDING)], name="list"),
                IndexModel(
                    [*BY_TENANT, ("slot", ASCENDING)],
                    name="slots",
                    unique=True,
                    partialFilterExpression={"slot": {"$gte": 0}},
                ),
            )
        )

    async def add(self, endpoint: WebhookEndpoint) -> bool:
        """Store a new endpoint; return False, and store nothing, when the tenant has as many as it may.

        Raises `AlreadyExists` when it is there, or was and is deleted.
        """
        while free := await self._free_slots(endpoint.tenant):
            try:
                await self._documents.insert(self._sealed(endpoint), slot=random.choice(free))  # noqa: S311 - spreads, guards nothing
            except AlreadyExists:  # of this id, or of the slot, which another has taken at the same moment
                if await self._documents.get(endpoint.id) is not None:
                    raise
                continue
            return True
        return False

    async def get(self, tenant: Tenant, endpoint_id: str) -> WebhookEndpoint | None:
        """Return the endpoint unless it is another tenant's, deleted or not there."""
        found = await self._documents.find_one(_of(tenant) | {"_id": endpoint_id})
        return None if found is None else self._opened(found)

    async def page(self, tenant: Tenant, limit: int, *, before: str | None = None, offset: int = 0) -> list[WebhookEndpoint]:
        """Return the tenant's endpoints newest first, those of ids below `before` if given."""
        return [self._opened(found) for found in await self._documents.page(_of(tenant), limit, before=before, offset=offset)]

    async def subscribed(self, tenant: Tenant, *event_types: str) -> list[WebhookEndpoint]:
        """Return the tenant's enabled endpoints that hear of any of these types of events; those that can be read."""
        found = await self._documents.find_readable(_of(tenant), NEWEST_FIRST, MAX_ENDPOINTS)
        return [self._opened(endpoint) for endpoint in found if any(map(endpoint.hears, event_types))]

    async def save(self, before: WebhookEndpoint, after: WebhookEndpoint) -> None:
        """Store what `after` has changed; raises `VersionConflict` when the endpoint is not as `before` any more, or gone."""
        kept, new = to_builtins(before), to_builtins(self._sealed(after))
        names = {name for name, value in to_builtins(after).items() if value != kept[name]}
        if not await self._documents.update(_unchanged(before), {"$set": {name: new[name] for name in names}}):
            raise VersionConflict(before.id)

    async def remove(self, tenant: Tenant, endpoint_id: str) -> bool:
        """Delete the endpoint, its secrets included; return whether there was one."""
        gone = {"deleted_at": now(), "updated_at": now(), "status": EndpointStatus.DISABLED.value, "secrets": []}
        change = {"$set": gone, "$unset": {"slot": ""}, "$inc": {"version": 1}}
        return await self._documents.update(_of(tenant) | {"_id": endpoint_id}, change)

    async def disable(self, attempted: WebhookEndpoint, reason: DisabledReason) -> bool:
        """Stop sending to the endpoint, and say why; False when it is disabled, or no longer as it was `attempted`."""
        at = now()
        change = {"status": EndpointStatus.DISABLED.value, "disabled_reason": reason.value, "disabled_at": at, "updated_at": at}
        where = _unchanged(attempted) | {"status": EndpointStatus.ENABLED.value}
        return await self._documents.update(where, {"$set": change, "$inc": {"version": 1}})

    async def note_failure(self, attempted: WebhookEndpoint, at: datetime) -> datetime | None:
        """Note a failed delivery and return when the run of failures began; None when the endpoint is not as `attempted`."""
        where = _unchanged(attempted)
        await self._documents.update(where | {"failing_since": None}, {"$set": {"failing_since": at}})
        present = await self._documents.find_one(where)
        return None if present is None else present.failing_since

    async def note_success(self, attempted: WebhookEndpoint) -> None:
        """End a run of failures, if there is one and the endpoint is still as it was `attempted`."""
        where = _unchanged(attempted) | {"failing_since": {"$type": "date"}}
        await self._documents.update(where, {"$set": {"failing_since": None}})

    async def reseal(self) -> Resealed:
        """Seal every secret under the current key that is not; may be repeated, and run beside changes."""

        def is_current(kept: WebhookEndpoint) -> bool:
            return all(self._sealing.is_current(secret.value) for secret in kept.secrets)

        async def reseal(kept: WebhookEndpoint) -> bool:
            fresh = to_builtins(self._sealed(_with_values(kept, self._sealing.open)).secrets)
            change = {"$set": {"secrets": fresh}, "$inc": {"version": 1}}
            return await self._documents.update({"_id": kept.id} | _version(kept), change)

        return await reseal_each(self._documents, is_current, reseal)

    async def _free_slots(self, tenant: Tenant) -> list[int]:
        where = owned_by(tenant) | {"slot": {"$gte": 0}}
        taken = {document["slot"] for document in await self._documents.project(where, ["slot"], None, MAX_ENDPOINTS)}
        return [slot for slot in range(MAX_ENDPOINTS) if slot not in taken]

    def _sealed(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        return _with_values(endpoint, self._sealing.seal)

    def _opened(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        try:
            return _with_values(endpoint, self._sealing.open)
        except (KeyNotGiven, SealBroken) as error:
            about = {"endpoint_id": endpoint.id, "error": type(error).__name__, "reason": str(error)}
            log.error("webhook.secrets_do_not_open", **about)  # noqa: TRY400 - there is nothing in the stack
            return msgspec.structs.replace(endpoint, secrets=())


def _with_values(endpoint: WebhookEndpoint, change: Any) -> WebhookEndpoint:  # noqa: ANN401 - seal or open
    place = f"webhook_endpoints/{endpoint.id}"
    changed = tuple(msgspec.structs.replace(secret, value=change(secret.value, place)) for secret in endpoint.secrets)
    return msgspec.structs.replace(endpoint, secrets=changed)


def _of(tenant: Tenant) -> dict[str, Any]:
    return owned_by(tenant) | {"deleted_at": None}


def _unchanged(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return _of(endpoint.tenant) | {"_id": endpoint.id} | _version(endpoint)


def _version(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Match the version; a row kept before there were versions has none."""
    return {"version": endpoint.version} if endpoint.version else {"version": {"$in": [0, None]}}
