"""One effect and one answer for each idempotency key."""

import asyncio
import secrets
from datetime import timedelta

import msgspec

from services.ingest.ports import AnswerStore
from services.ingest.refusals import IdempotencyInProgress, IdempotencyKeyReused
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.kept_answer import Answer, Claim, ClaimedRequest
from shared.telemetry.logs import get_logger

log = get_logger()

KEPT_FOR = timedelta(hours=24)
LEASE = timedelta(seconds=30)
PARAM = "Idempotency-Key"
KEY_PATTERN = "[A-Za-z0-9_-]{1,255}"

_TRIES = 5


class Once:
    """Serves a request by its key: who comes first claims it and runs; whoever repeats it is given the first answer.

    A claim is a lease, renewed while the request runs: when the process dies, a repeat runs it again after at most `LEASE`. What
    the dead one did is not undone, so the effect is at least once then; use cases that create derive their ids from the claim
    (`identified`), which makes it exactly once.
    """

    def __init__(self, store: AnswerStore, lease: timedelta = LEASE) -> None:
        self._store, self._lease = store, lease
        self._renewals: dict[str, asyncio.Task[None]] = {}

    async def begin(self, request_id: str, fingerprint: str) -> Claim | Answer:
        """Claim the request, or return how it was answered.

        Raises `IdempotencyKeyReused` when the first request with this key was another one, `IdempotencyInProgress` while it runs.
        """
        for _ in range(_TRIES):
            fresh = self._fresh(request_id, fingerprint)
            if await self._store.claim(fresh):
                return self._begun(fresh.claim)
            known = await self._store.get(request_id)
            if known is None:
                continue  # it has just expired
            lasts = known.expires_at > now()
            again = lasts and not known.nothing_done
            if lasts:
                if answer := _answer_of(known, fingerprint):
                    return answer
                first_at = known.first_at if again else fresh.first_at
                fresh = msgspec.structs.replace(fresh, first_at=first_at, expires_at=known.expires_at)
            if await self._store.take_over(known, fresh):
                return self._begun(msgspec.structs.replace(fresh.claim, again=again))
        raise _in_progress()

    async def keep(self, claim: Claim, answer: Answer) -> None:
        """Keep the answer for repeats; one that cannot be stored is not kept, and a repeat runs again after the lease."""
        await self._settle(claim, answer)

    async def let_go(self, claim: Claim, *, nothing_done: bool = False) -> None:
        """Keep nothing: a repeat of the same request runs at once; as a new one, when nothing was done by this run or another."""
        await self._settle(claim, None, nothing_done=nothing_done and not claim.again)

    def _fresh(self, request_id: str, fingerprint: str) -> ClaimedRequest:
        at = now()
        return ClaimedRequest(
            id=request_id,
            fingerprint=fingerprint,
            token=secrets.token_hex(8),
            first_at=at,
            leased_until=at + self._lease,
            expires_at=at + KEPT_FOR,
        )

    def _begun(self, claim: Claim) -> Claim:
        self._renewals[claim.token] = asyncio.create_task(self._renew(claim))
        return claim

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                await self._store.renew(claim, now() + self._lease)
            except TransientFailure as failure:
                log.warning("idempotency.not_renewed", error=type(failure).__name__)

    async def _settle(self, claim: Claim, answer: Answer | None, *, nothing_done: bool = False) -> None:
        if renewal := self._renewals.pop(claim.token, None):
            renewal.cancel()
        try:
            await self._store.settle(claim, answer, nothing_done=nothing_done)
        except TransientFailure as failure:
            log.warning("idempotency.not_kept", error=type(failure).__name__)


def _answer_of(known: ClaimedRequest, fingerprint: str) -> Answer | None:
    """Return the first answer, or None when there is none and nobody works on it any more."""
    if known.fingerprint != fingerprint:
        raise IdempotencyKeyReused("the key was sent with another request before: each request needs its own", param=PARAM)
    if known.answer is None and known.leased_until > now():
        raise _in_progress()
    return known.answer


def _in_progress() -> IdempotencyInProgress:
    return IdempotencyInProgress("the first request with this key is still being served", param=PARAM)
