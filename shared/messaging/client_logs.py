"""What the Kafka client logs: without a broker it repeats itself some ninety times a second; once in ten seconds is enough."""

import logging
import time

QUIET_S = 10.0
CHATTY = (
    "aiokafka",
    "aiokafka.conn",
    "aiokafka.cluster",
    "aiokafka.producer.sender",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
)


class _Damper(logging.Filter):
    """Lets each kind of record through once in `QUIET_S`; kinds are told apart by their text before values are put in."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether `record` is to be written."""
        kind = (record.name, str(record.msg))
        now = time.monotonic()
        if now - self._last.get(kind, -QUIET_S) < QUIET_S:
            return False
        self._last[kind] = now
        return True


_damper = _Damper()


def damp_client_logs() -> None:
    """Keep the client's loggers from flooding the log while the broker is away; may be called again."""
    for name in CHATTY:  # a filter is not inherited by the loggers below
        logging.getLogger(name).addFilter(_damper)
