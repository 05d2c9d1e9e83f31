"""One example of each kind of resource and body, in the words of the contract's own; by the name of the Struct."""

from typing import Any

EXAMPLES: dict[str, Any] = {}
