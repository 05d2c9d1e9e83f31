"""What is kept of a recording's events, read as an event stream reads it."""

from shared.domain.tenant import Mode, Tenant


async def kept_events(events, project_id, recording_id):
    """Return the live recording's events in the order in which they were kept."""
    return [kept.event for kept in await events.kept_since(Tenant(project_id, Mode.LIVE), recording_id, 0, 100)]
