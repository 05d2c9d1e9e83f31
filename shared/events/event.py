"""What every event carries."""

from datetime import datetime
from typing import Annotated

import msgspec

from shared.domain.tenant import Mode, Tenant


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", dict=True):
    """A fact about one recording; its tag is `<subject>.<past verb>` and names its topic.

    `event_id` derives from (aggregate, type, version), so a replay is recognisable. `version` is that of the aggregate the
    fact made; `schema` that of the event's own form, raised only beside a new golden. `trace_id` is that of the request or job
    that led to the fact. What others make of an event may be kept with it, in its `__dict__`: that is no part of the fact.
    """

    event_id: str
    project_id: str
    mode: Mode
    recording_id: str
    version: int
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
    schema: int = 1
    trace_id: str | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose fact it is."""
        return Tenant(self.project_id, self.mode)

    @property
    def type(self) -> str:
        """The event's type as it stands on the wire, such as `recording.uploaded`."""
        return str(self.__struct_config__.tag)
