"""Organizations own projects; a project is what isolates one customer's data from another's."""

from datetime import datetime

import msgspec


class Organization(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """An organization; its configuration is the first override of its projects' configuration."""

    id: str
    name: str
    created_at: datetime


class Project(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """A project; every key, recording and webhook endpoint belongs to exactly one."""

    id: str
    organization_id: str
    name: str
    created_at: datetime
