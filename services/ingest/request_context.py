"""What is known of one request while it runs: its id, who calls, and what its log line will say."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import msgspec

from shared.domain.caller import Caller
from shared.domain.kept_answer import Claim
from shared.telemetry.log_lines import describe

_KEY = "earwitness_request"


class Standing(msgspec.Struct, frozen=True):
    """What an answer's headers say of a rate limit: how many, how many are left, and the Unix second at which it begins anew."""

    limit: int
    remaining: int
    resets_at: int


class RequestContext(msgspec.Struct):
    """Made by the edge for each request; what handlers note in it stands in the request's one log line.

    `operator` says that the operator calls, who is no caller. `claim` is held by a request with an idempotency key; `may_pass`:
    its answer is a refusal that the same request may not meet again; `body_hash` is of the body as far as a handler streamed
    it, `body_whole` says that it did so to the end. `told` has the request's headers by their names, the first of each;
    `headers` go out with the answer, whoever answers.
    """

    request_id: str
    told: Mapping[bytes, bytes]
    caller: Caller | None = None
    operator: bool = False
    standing: Standing | None = None
    claim: Claim | None = None
    may_pass: bool = False
    body_hash: Any = None
    body_whole: bool = False
    headers: tuple[tuple[bytes, bytes], ...] = ()
    line: dict[str, object] = msgspec.field(default_factory=dict)
    unexpected: bool = False

    def note(self, **fields: object) -> None:
        """Put `fields` in the log line."""
        self.line.update(fields)

    def fail(self, code: str, error: Exception, *, unexpected: bool) -> None:
        """Note the error; one that is our own fault with its stack."""
        self.unexpected = unexpected
        self.line["error_code"] = code
        if unexpected:
            self.line |= describe(error, stack=True)


def place(scope: MutableMapping[str, Any], context: RequestContext) -> None:
    """Attach the context to an ASGI scope."""
    scope[_KEY] = context


def context_of(scope: Mapping[str, Any]) -> RequestContext:
    """Return the context of the request that `scope` belongs to."""
    context: RequestContext = scope[_KEY]
    return context
