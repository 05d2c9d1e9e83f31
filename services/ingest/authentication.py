"""Who presents a credential: keys and tokens are recognised by their hash and remembered for a while."""

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec

from services.ingest.ports import CredentialLookup
from services.ingest.refusals import Unauthorized, invalid_credential, no_credential
from shared.domain.caller import Caller, Credential, credential_prefix
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.secret import secret_sha256
from shared.telemetry.logs import get_logger

log = get_logger()

_MOST_REMEMBERED = 10_000
_TOUCH_EVERY = timedelta(minutes=1)
_BEARER = "bearer "


class _Remembered(msgspec.Struct, frozen=True):
    caller: Caller | None
    until: float


class Authenticate:
    """Turns an `Authorization` header into a caller, or raises `Unauthorized`; `stores` are asked by a credential's prefix.

    What a lookup said holds for `cache_s` seconds, so a revocation is felt within that; the replica that revokes forgets at once.
    Requests with the same key that come while it is looked up share the lookup; what was looked up before a revocation here is
    not believed by any that come after it.
    """

    def __init__(
        self, stores: Mapping[str, CredentialLookup], cache_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stores, self._cache_s, self._clock = stores, cache_s, clock
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[Caller | None]] = {}
        self._revocations = 0
        self._touches: set[asyncio.Task[None]] = set()

    async def __call__(self, authorization: str) -> Caller:
        """Return who calls."""
        secret = bearer(authorization)
        store = self._stores.get(credential_prefix(secret))
        if store is None:
            raise invalid_credential()
        digest = secret_sha256(secret)
        known = self._remembered.get(digest)
        caller = known.caller if known is not None and known.until > self._clock() else await self._look_up(store, digest)
        if caller is None or (caller.expires_at is not None and caller.expires_at <= now()):
            raise invalid_credential()
        return caller

    def known(self, authorization: str) -> Caller | None:
        """Return who calls if that is remembered here, where only credentials of a known form are; nothing is looked up."""
        known = self._remembered.get(secret_sha256(bearer(authorization)))
        caller = known.caller if known is not None and known.until > self._clock() else None
        return caller if caller is not None and (caller.expires_at is None or caller.expires_at > now()) else None

    def forget(self, credential_id: str) -> None:
        """Look the credential up again when it comes next, even if a lookup is under way: it may have read what was before."""
        self._revocations += 1
        self._lookups.clear()
        for digest, known in list(self._remembered.items()):
            if known.caller is not None and known.caller.credential_id == credential_id:
                del self._remembered[digest]

    async def _look_up(self, store: CredentialLookup, digest: str) -> Caller | None:
        lookup = self._lookups.get(digest)
        if lookup is None:
            lookup = self._lookups[digest] = asyncio.create_task(self._ask(store, digest))
            lookup.add_done_callback(lambda ended: self._end(digest, ended))
        return await asyncio.shield(lookup)

    def _end(self, digest: str, lookup: asyncio.Task[Caller | None]) -> None:
        if self._lookups.get(digest) is lookup:
            del self._lookups[digest]

    async def _ask(self, store: CredentialLookup, digest: str) -> Caller | None:
        revocations = self._revocations
        credential = await store.by_secret(digest)
        caller = None if credential is None else credential.caller
        if revocations == self._revocations:
            self._remember(digest, caller)
        if credential is not None and caller is not None and _long_unseen(credential):
            self._note_use(store, caller.credential_id)
        return caller

    def _remember(self, digest: str, caller: Caller | None) -> None:
        self._remembered[digest] = _Remembered(caller, self._clock() + self._cache_s)
        self._remembered.move_to_end(digest)
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)

    def _note_use(self, store: CredentialLookup, credential_id: str) -> None:
        touch = asyncio.create_task(self._touch(store, credential_id))
        self._touches.add(touch)
        touch.add_done_callback(self._touches.discard)

    async def _touch(self, store: CredentialLookup, credential_id: str) -> None:
        try:
            await store.touch(credential_id, now())
        except TransientFailure as failure:
            log.warning("credential.use_not_noted", credential_id=credential_id, error=type(failure).__name__)


class AdminGate:
    """Knows the operator's token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def check(self, authorization: str) -> None:
        """Raise `Unauthorized` unless the header carries the token."""
        sent = bearer(authorization).encode("latin-1")  # its bytes, which are those of UTF-8
        if not hmac.compare_digest(sent, self._token):
            raise Unauthorized("this needs the admin token: Authorization: Bearer <ADMIN_TOKEN>")


def _long_unseen(credential: Credential) -> bool:
    return credential.last_used_at is None or now() - credential.last_used_at > _TOUCH_EVERY


def bearer(authorization: str) -> str:
    """Return the credential in an `Authorization` header, empty when there is none."""
    if not authorization:
        raise no_credential()
    if authorization[: len(_BEARER)].lower() != _BEARER:
        raise Unauthorized("the Authorization header does not have the form: Bearer <key>")
    return authorization[len(_BEARER) :].strip(" \t")  # nothing else is a space in a header
