"""A request that must not be done twice, and how it was answered (contract A18)."""

from datetime import datetime

import msgspec

from shared.domain.ids import later_derived_id, new_id


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The right to serve a request with an idempotency key; a later claim of the same request has another token.

    `first_at` is when the request was first claimed: the same after a crash and in another replica. It is claimed `again` where
    another run of it may have done something, or may do so yet.
    """

    id: str
    token: str
    first_at: datetime
    again: bool = False

    def new_id(self, prefix: str) -> str:
        """Return the id of the one thing of this kind that the request makes: the same however often it is claimed."""
        return later_derived_id(prefix, int(self.first_at.timestamp() * 1000), self.id, self.first_at)


def identified(prefix: str, claim: Claim | None) -> str:
    """Return the id of what a request makes: that of its claim, under which a repeat finds what it made, else a new one."""
    return new_id(prefix) if claim is None else claim.new_id(prefix)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a client was told: the status, the headers that belong to the answer itself, and the body.

    `request_sha256` is of the request's body where that was read as a stream, else empty.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    request_sha256: str = ""


class ClaimedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request by its idempotency key; `fingerprint` is a hash of all that must be the same in a repeat.

    Until `answer` is there it belongs to the claim with `token`, as long as `leased_until` has not passed. With `nothing_done` it
    was refused without a trace: a repeat is a new request, made when it comes.
    """

    id: str
    fingerprint: str
    token: str
    first_at: datetime
    leased_until: datetime
    expires_at: datetime
    answer: Answer | None = None
    nothing_done: bool = False

    @property
    def claim(self) -> Claim:
        """The claim that it belongs to."""
        return Claim(id=self.id, token=self.token, first_at=self.first_at)
