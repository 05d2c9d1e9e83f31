"""Kept events over memory."""

import msgspec

from shared.domain.errors import TransientFailure
from shared.events.event import Event


class Kept(msgspec.Struct, frozen=True):
    event: Event
    position: int
    first: int


class FakeEventLog:
    """Keeps events in the order in which they come; unreadable while it is `down`."""

    def __init__(self):
        self.kept = []
        self.down = False

    def keep(self, *events, position=None, first=None):
        """Keep events, each a second after the one before, or at a given position, after they stood at another one first."""
        for event in events:
            last = max((kept.position for kept in self.kept), default=0)
            place = last + (1 << 32) if position is None else position
            self.kept.append(Kept(event, place, place if first is None else first))

    async def kept_since(self, tenant, recording_id, position, limit):
        if self.down:
            raise TransientFailure("the events are away")
        mine = [kept for kept in self.kept if kept.event.recording_id == recording_id and kept.event.tenant == tenant]
        return sorted((kept for kept in mine if kept.position > position), key=lambda kept: kept.position)[:limit]

    async def position_after(self, tenant, recording_id, event_id):
        mine = [kept for kept in self.kept if kept.event.recording_id == recording_id and kept.event.tenant == tenant]
        return next((kept.first for kept in mine if kept.event.event_id == event_id), 0)
