"""Names the work of a worker process, so that only that process imports it."""

from importlib import import_module
from typing import Any

import msgspec

from shared.workers.worker import Work


class Entry(msgspec.Struct, frozen=True):
    """`module.function(settings)`, called in the worker: its libraries cost the service neither memory nor start-up time."""

    module: str
    function: str
    settings: Any

    def __call__(self) -> Work[Any, Any]:
        """The work; raises what importing or initializing raises."""
        work: Work[Any, Any] = getattr(import_module(self.module), self.function)(self.settings)
        return work
