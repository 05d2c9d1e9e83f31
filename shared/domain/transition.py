"""The rule of every state table: a move that the table does not know is refused, loudly."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


class TransitionRefused(Exception):
    """An aggregate was asked to move to a status that may not follow its present one."""

    def __init__(self, aggregate_id: str, present: str, wanted: str) -> None:
        super().__init__(f"{aggregate_id} is {present} and may not become {wanted}")
        self.aggregate_id = aggregate_id
        self.present = present
        self.wanted = wanted


class VersionConflict(Exception):
    """The document changed since it was read; read again and decide anew."""


def check_move(follows: Mapping[S, frozenset[S]], aggregate_id: str, present: S, wanted: S) -> None:
    """Raise `TransitionRefused` unless `wanted` may follow `present`."""
    if wanted not in follows[present]:
        raise TransitionRefused(aggregate_id, present, wanted)
