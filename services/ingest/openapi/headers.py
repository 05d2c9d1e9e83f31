"""The headers that answers and requests carry whatever the operation."""

from typing import Any

from shared.domain.wire import REQUEST_ID

_PLACE = "#/components/headers/"

_COMMON: dict[str, Any] = {
    "X-Request-Id": {
        "description": "The request's id: the one that was sent, or one made for it. Errors repeat it.",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{REQUEST_ID}$"},
    },
    "X-RateLimit-Limit": {
        "description": "How many requests the limit that counts here allows in its window of time.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "X-RateLimit-Remaining": {
        "description": "How many of them are left, as far as this replica knows.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-RateLimit-Reset": {
        "description": "The Unix second at which the window ends and all are left again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
}
_OCCASIONAL: dict[str, Any] = {
    "Retry-After": {
        "description": "After how many seconds the same request may be sent again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Idempotency-Replayed": {
        "description": "The request was sent before with the same idempotency key, and this is the answer it got then.",
        "schema": {"const": "true"},
    },
    "WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}},
}

COMPONENTS: dict[str, Any] = _COMMON | _OCCASIONAL
"""Every header by name."""

RESPONSE_HEADERS: dict[str, Any] = {name: {"$ref": _PLACE + name} for name in _COMMON}
"""What every answer carries."""

REPLAYED: dict[str, Any] = {"Idempotency-Replayed": {"$ref": _PLACE + "Idempotency-Replayed"}}
"""What an answer to a POST may carry."""

RETRY_AFTER: dict[str, Any] = {"$ref": _PLACE + "Retry-After"}
"""What an answer carries that asks to come again."""
