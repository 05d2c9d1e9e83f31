"""What the edge of the API keeps, in memory: rate windows, claimed requests with their answers, upload tokens."""

import msgspec

from shared.domain.clock import now
from shared.domain.errors import TransientFailure


class FakeWindows:
    """Shared counts; `down` makes them unreachable."""

    def __init__(self):
        self.taken, self.calls, self.down = {}, 0, False

    async def take(self, window_id, count, expires_at):
        self.calls += 1
        if self.down:
            raise TransientFailure("the windows are down")
        self.taken[window_id] = self.taken.get(window_id, 0) + count
        return self.taken[window_id]


class FakeAnswers:
    """Claimed requests by id; `down` makes every call fail as an outage does."""

    def __init__(self):
        self.requests, self.down = {}, False

    async def claim(self, request):
        self._check()
        return self.requests.setdefault(request.id, request) is request

    async def get(self, request_id):
        self._check()
        return self.requests.get(request_id)

    async def take_over(self, stale, fresh):
        self._check()
        if self.requests.get(stale.id) != stale:
            return False
        self.requests[stale.id] = msgspec.structs.replace(fresh, answer=None)
        return True

    async def renew(self, claim, until):
        self._change(claim, leased_until=until)

    async def settle(self, claim, answer, *, nothing_done=False):
        let_go = {"leased_until": now(), "nothing_done": nothing_done}
        self._change(claim, **(let_go if answer is None else {"answer": answer}))

    def _change(self, claim, **fields):
        self._check()
        present = self.requests.get(claim.id)
        if present is not None and present.token == claim.token and present.answer is None:
            self.requests[claim.id] = msgspec.structs.replace(present, **fields)

    def _check(self):
        if self.down:
            raise TransientFailure("the idempotency keys are down")


class FakeUploadTokens:
    def __init__(self):
        self.tokens = {}

    async def add(self, token):
        self.tokens[token.secret_sha256] = token

    async def by_secret(self, secret_sha256):
        return self.tokens.get(secret_sha256)

    async def touch(self, credential_id, at):
        pass
