"""What is said of a configuration that cannot be read, by whoever comes upon it; what is done then is for each to know."""

from shared.domain.config.overrides import ConfigUnreadable
from shared.domain.tenant import Tenant
from shared.telemetry.logs import get_logger

log = get_logger()


def tell_of_unreadable(error: ConfigUnreadable, tenant: Tenant, **about: str) -> None:
    """Log whose configuration it is, what it was read for (`about`), and why it cannot be read."""
    log.error("config.unreadable", project_id=tenant.project_id, **about, reason=str(error)[:200])
