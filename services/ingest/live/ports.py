"""What the live view needs from the outside."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from shared.domain.caller import Caller
from shared.domain.tenant import Tenant
from shared.events.event import Event


class KeptEvent(Protocol):
    """An event as it is kept; `position` grows in the order in which events were kept."""

    @property
    def event(self) -> Event:
        """The event."""

    @property
    def position(self) -> int:
        """Where it stands; 0 when that is not known."""


class EventLog(Protocol):
    """Every event, kept before it is published."""

    async def kept_since(self, tenant: Tenant, recording_id: str, position: int, limit: int) -> Sequence[KeptEvent]:
        """Return a recording's events after `position` in the order in which they were kept; 0: from the first."""

    async def position_after(self, tenant: Tenant, recording_id: str, event_id: str) -> int:
        """Return a position after which everything stands that was kept since one of a recording's events could first be read.

        0 when it is not among them (any more).
        """


class Credentials(Protocol):
    """Who may call."""

    async def __call__(self, authorization: str) -> Caller:
        """Return who calls; raises `Unauthorized`."""


class LiveRules(msgspec.Struct, frozen=True, kw_only=True):
    """How streams behave. `look_s` is how often the kept events are looked at while the broker is away, else `idle_look_s`.

    `progress_look_s` is how often the progress of a running transcription is.
    """

    streams_per_project: int = 100
    heartbeat_s: float = 15.0
    look_s: float = 1.0
    idle_look_s: float = 5.0
    progress_look_s: float = 2.0
