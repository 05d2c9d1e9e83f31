"""Whose data something is: the first argument of every repository method, so that tenants cannot see each other."""

from enum import StrEnum

import msgspec


class Mode(StrEnum):
    """Test and live data of one project never mix (contract A5)."""

    LIVE = "live"
    TEST = "test"


class Tenant(msgspec.Struct, frozen=True):
    """One project in one mode."""

    project_id: str
    mode: Mode = Mode.LIVE
