"""Which events come here: every one that customers may hear of."""

from collections.abc import Mapping

from services.webhooks.fan_out import FanOut
from shared.events.event import Event
from shared.events.topics import TOPICS, topics_read_by
from shared.messaging.pipeline import Handler

GROUP = "webhooks"


def handlers(fan_out: FanOut) -> Mapping[type[Event], Handler]:
    """Route every event of every topic that this group reads through `fan_out`, to be confirmed later."""
    return {TOPICS[name].event: fan_out.draft for name in topics_read_by(GROUP)}
