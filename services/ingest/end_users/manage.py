"""End users as their project manages them (contract section 14)."""

from collections.abc import Callable

from services.ingest.end_users.bodies import CreateEndUser
from services.ingest.end_users.ports import EndUserStore, OfEndUser
from services.ingest.limits import checked_metadata
from services.ingest.paging import Page, Pager, PageRequest
from services.ingest.refusals import ResourceAlreadyExists, not_found
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.end_user import EndUser
from shared.domain.errors import AlreadyExists, TransientFailure
from shared.domain.kept_answer import Claim, identified
from shared.domain.tenant import Tenant
from shared.telemetry.logs import get_logger

log = get_logger()


class ManageEndUsers:
    """Creates, shows and deletes end users.

    `release` frees the devices of one that was deleted; `forget` makes this replica look for it when it is named next.
    """

    def __init__(self, end_users: EndUserStore, pager: Pager, release: OfEndUser, forget: Callable[[Tenant, str], None]) -> None:
        self._end_users, self._pager, self._release, self._forget = end_users, pager, release, forget

    async def create(self, caller: Caller, body: CreateEndUser, claim: Claim | None = None) -> EndUser:
        """Store a new end user; an `external_id` that another one has is refused.

        What an earlier run of the same claim has stored is returned as it stands; raises `NotFound` when that was deleted since.
        """
        at = now()
        end_user = EndUser(
            id=identified("eu", claim),
            project_id=caller.tenant.project_id,
            mode=caller.tenant.mode,
            external_id=body.external_id,
            email=body.email,
            name=body.name,
            metadata=None if body.metadata is None else checked_metadata(body.metadata),
            created_at=at,
            updated_at=at,
        )
        try:
            await self._end_users.add(end_user)
        except AlreadyExists as error:
            if claim is not None and (stored := await self._end_users.get(caller.tenant, end_user.id)):
                return stored
            if claim is not None and not await self._is_taken(caller, body.external_id):
                raise not_found("end user") from error
            raise ResourceAlreadyExists("an end user has this external_id already", param="external_id") from error
        return end_user

    async def get(self, caller: Caller, end_user_id: str) -> EndUser:
        """Return one."""
        end_user = await self._end_users.get(caller.tenant, end_user_id)
        if end_user is None:
            raise not_found("end user")
        return end_user

    async def page(self, caller: Caller, request: PageRequest, *, external_id: str | None) -> Page[EndUser]:
        """Return a page of them, newest first, or the one of exactly this `external_id`."""

        async def read(limit: int, before: str | None, offset: int) -> list[EndUser]:
            if external_id is None:
                return await self._end_users.page(caller.tenant, limit, before=before, offset=offset)
            found = await self._end_users.by_external_id(caller.tenant, external_id)
            return [] if found is None or offset or (before is not None and found.id >= before) else [found]

        return await self._pager.page(caller.tenant, "end_users", request, read)

    async def delete(self, caller: Caller, end_user_id: str) -> None:
        """Delete one: at once it is gone and its `external_id` free; its devices and recordings follow, whatever happens."""
        if not await self._end_users.remove(caller.tenant, end_user_id, now()):
            raise not_found("end user")
        self._forget(caller.tenant, end_user_id)
        try:
            await self._release(caller.tenant, end_user_id)
        except TransientFailure as failure:  # whoever erases the rest does it again
            log.warning("end_user.devices_left", end_user_id=end_user_id, error=type(failure).__name__)

    async def _is_taken(self, caller: Caller, external_id: str | None) -> bool:
        return external_id is not None and await self._end_users.by_external_id(caller.tenant, external_id) is not None
