"""Whose a document is, as every collection of tenants' documents says it."""

from typing import Any

from pymongo import ASCENDING

from shared.domain.tenant import Tenant

BY_TENANT = (("project_id", ASCENDING), ("mode", ASCENDING))
"""What an index begins with that finds a tenant's documents."""


def owned_by(tenant: Tenant) -> dict[str, Any]:
    """Return what matches the tenant's documents and no other's."""
    return {"project_id": tenant.project_id, "mode": tenant.mode.value}
