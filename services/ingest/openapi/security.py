"""Credentials as OpenAPI describes them; which of them an operation takes is read from its guards."""

from typing import Any

from litestar.handlers import HTTPRouteHandler

from services.ingest.api_request import Requires, admin_only
from shared.domain.caller import CredentialKind

SIGNED_URL = "signed_url"
"""What a route without a guard says as its `credential` when its URL is one."""

CALLBACK_TOKEN = "callback_token"  # noqa: S105 - the name of a kind of credential
"""What it says when the last part of its path is one: OpenAPI knows no scheme for that, so `x-credentials` alone tells."""

_KEYS = (CredentialKind.SECRET_KEY, CredentialKind.RESTRICTED_KEY)

SCHEMES: dict[str, Any] = {
    "api_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "`sk_live_…` or `sk_test_…`: everything in one project, in one mode. "
        "`rk_live_…` or `rk_test_…`: what its scopes list; each operation names the one it needs.",
    },
    "device_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "`dtok_…`: what one device does; made by binding the device, renewed by itself.",
    },
    "upload_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "`up_…`: one upload of one recording, for minutes, once.",
    },
    "admin_token": {"type": "http", "scheme": "bearer", "description": "The operator's token."},
    "signed_url": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "A chunk's URL is its own credential: it is made from the recording's template and needs no header.",
    },
}


def security_of(handler: HTTPRouteHandler) -> dict[str, Any]:
    """Return the operation's `security` and `x-credentials`, and its `x-required-scope` where keys may call it."""
    guards = handler.resolve_guards()
    guard = next((guard for guard in guards if isinstance(guard, Requires)), None)
    if guard is not None:
        return _guarded(guard, operator="operator" in handler.opt)
    if admin_only in guards:
        return {"security": [{"admin_token": []}], "x-credentials": ["admin_token"]}
    if handler.opt.get("credential") == SIGNED_URL:
        return {"security": [{SIGNED_URL: []}], "x-credentials": [SIGNED_URL]}
    return {"security": [], "x-credentials": [CALLBACK_TOKEN] if handler.opt.get("credential") == CALLBACK_TOKEN else []}


def _guarded(guard: Requires, *, operator: bool) -> dict[str, Any]:
    tokens = sorted([kind.value for kind in guard.tokens] + ["admin_token"] * operator)
    security: list[dict[str, list[str]]] = [{token: []} for token in tokens]
    if guard.scope is None:
        return {"security": security, "x-credentials": tokens}
    return {
        "security": [{"api_key": [guard.scope]}, *security],
        "x-required-scope": guard.scope,
        "x-credentials": [*(key.value for key in _KEYS), *tokens],
    }
