"""How what a specific level says combines with what counts at the levels above it (contract 16.1)."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec


class Strategy(StrEnum):
    """The strategies on the wire.

    `override`: the specific value as a whole. `merge_deep`: objects key by key, arrays item by item at the same index, anything
    else as `override`. `append`: the general items, then those specific ones that are new. `min`, `max`: the lower or higher
    number. `ordered_max`: the one that stands later in a fixed order, strictest last.
    """

    OVERRIDE = "override"
    MERGE_DEEP = "merge_deep"
    APPEND = "append"
    MIN = "min"
    MAX = "max"
    ORDERED_MAX = "ordered_max"


class Rule(msgspec.Struct, frozen=True):
    """How the values of one key combine; `order` belongs to `ordered_max`, `unlimited` is the number that `min` reads as none."""

    strategy: Strategy = Strategy.MERGE_DEEP
    order: tuple[str, ...] = ()
    unlimited: int | None = None

    def combine(self, general: Any, specific: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return what counts where `general` counted and a more specific level says `specific`."""
        return _COMBINE[self.strategy](self, general, specific)


Rules = Mapping[str, Rule]
"""The rules of the keys that have one of their own, by key."""

MERGE_DEEP = Rule()


def combined(
    general: Mapping[str, Any], specific: Mapping[str, Any], rules: Rules | None = None, otherwise: Rule = MERGE_DEEP
) -> dict[str, Any]:
    """Return `general` with what `specific` says, each key by its rule; neither is changed. What only one says stands."""
    result = dict(general)
    for key, value in specific.items():
        rule = (rules or {}).get(key, otherwise)
        result[key] = rule.combine(result[key], value) if key in result else value
    return result


def amended(present: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a subject says once it has said `change`, too: objects key by key, anything else as a whole."""
    result = dict(present)
    for key, value in change.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = amended(before, value)
        else:
            result[key] = value
    return result


def _deep(_rule: Rule, general: Any, specific: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(general, Mapping) and isinstance(specific, Mapping):
        return combined(general, specific)
    if isinstance(general, list) and isinstance(specific, list):
        both = zip(general, specific, strict=False)
        items = [MERGE_DEEP.combine(*pair) for pair in both]
        return items + general[len(items) :] + specific[len(items) :]
    return specific


def _append(_rule: Rule, general: Sequence[Any], specific: Sequence[Any]) -> list[Any]:
    result = list(general)
    for item in specific:
        if item not in result:
            result.append(item)
    return result


def _lowest(rule: Rule, general: Any, specific: Any) -> Any:  # noqa: ANN401 - numbers
    limits = [value for value in (general, specific) if value != rule.unlimited]
    return min(limits) if limits else rule.unlimited


_COMBINE: Mapping[Strategy, Callable[[Rule, Any, Any], Any]] = {
    Strategy.OVERRIDE: lambda _rule, _general, specific: specific,
    Strategy.MERGE_DEEP: _deep,
    Strategy.APPEND: _append,
    Strategy.MIN: _lowest,
    Strategy.MAX: lambda _rule, general, specific: max(general, specific),
    Strategy.ORDERED_MAX: lambda rule, general, specific: max(general, specific, key=rule.order.index),
}
