"""Who is let in: a caller with a valid credential, as often as its project may call."""

from collections.abc import Mapping
from typing import Any

from services.ingest.authentication import AdminGate, Authenticate, bearer
from services.ingest.rates.limiter import Bucket, RateLimiter
from services.ingest.rates.strangers import Strangers
from services.ingest.refusals import RateLimitExceeded, Unauthorized
from services.ingest.request_context import RequestContext, context_of
from shared.domain.caller import Caller


class Admission:
    """Finds out who sent a request and counts it; a credential that is not valid is counted by its sender's address.

    Where too many wrong credentials came from, only those are taken that this replica knows already: none is looked up, and the
    admin token is not compared.
    """

    def __init__(self, authenticate: Authenticate, admin_gate: AdminGate, limiter: RateLimiter, strangers: Strangers) -> None:
        self._authenticate, self._admin_gate = authenticate, admin_gate
        self._limiter, self._strangers = limiter, strangers

    async def __call__(self, scope: Mapping[str, Any], authorization: str, bucket: Bucket) -> Caller:
        """Return the caller, noted in the request's context; raises `Unauthorized` or `RateLimitExceeded`."""
        context = context_of(scope)
        try:
            caller = self._authenticate.known(authorization) or await self._looked_up(scope, authorization)
            context.caller = caller
            context.standing = await self._limiter(caller.tenant.project_id, bucket)
        except RateLimitExceeded as refusal:
            context.standing = refusal.standing
            raise
        return caller

    async def _looked_up(self, scope: Mapping[str, Any], authorization: str) -> Caller:
        self._strangers.check(scope)
        try:
            return await self._authenticate(authorization)
        except Unauthorized:
            self._strangers.note_failure(scope)
            raise

    def operator(self, scope: Mapping[str, Any], authorization: str) -> None:
        """Let the operator in, who is not limited; raises `Unauthorized` or `RateLimitExceeded`."""
        context: RequestContext = context_of(scope)
        bearer(authorization)  # whoever shows nothing has tried nothing
        try:
            self._strangers.check(scope)
            self._admin_gate.check(authorization)
        except RateLimitExceeded as refusal:
            context.standing = refusal.standing
            raise
        except Unauthorized:
            self._strangers.note_failure(scope)
            raise
        context.operator = True
