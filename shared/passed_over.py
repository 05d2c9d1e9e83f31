"""Remembering for a while what could not be worked off, so that neither it nor its log lines crowd out the rest of a queue."""

import time
from collections.abc import Callable

PASSED_OVER_S = 60.0


class PassedOver:
    """Ids that are left alone for a minute and then looked at again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def add(self, document_id: str) -> bool:
        """Leave it alone from now on; return False, and change nothing, where it is left alone already."""
        at = self._clock()
        if self._until.get(document_id, at) > at:
            return False
        self._until[document_id] = at + PASSED_OVER_S
        return True

    def ids(self) -> list[str]:
        """Return what is to be left alone now."""
        at = self._clock()
        self._until = {document_id: until for document_id, until in self._until.items() if until > at}
        return list(self._until)
