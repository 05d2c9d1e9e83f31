"""The headers that answers and requests carry whatever the operation."""

from typing import Any

_PLACE = "#/components/headers/"

_COMMON: dict[str, Any] = {
    "X-Request-Id": {
        "description": "The request's id: the one that was sent, or one made for it. Errors repeat it.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,128}$"},
    },
}
_OCCASIONAL: dict[str, Any] = {
    "Retry-After": {
        "description": "After how many seconds the same request may be sent again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}},
}

COMPONENTS: dict[str, Any] = _COMMON | _OCCASIONAL
"""Every header by name."""

RESPONSE_HEADERS: dict[str, Any] = {name: {"$ref": _PLACE + name} for name in _COMMON}
"""What every answer carries."""

RETRY_AFTER: dict[str, Any] = {"$ref": _PLACE + "Retry-After"}
"""What an answer carries that asks to come again."""
