"""Work in processes that can be killed: `ProcessPool`, and how its jobs fail."""

from shared.workers.entry import Entry
from shared.workers.failures import PoolStopped, WorkerDied, WorkerFailed, WorkerTimedOut
from shared.workers.process_pool import ProcessPool
from shared.workers.worker import Report, Work, WorkerOptions

__all__ = [
    "Entry",
    "PoolStopped",
    "ProcessPool",
    "Report",
    "Work",
    "WorkerDied",
    "WorkerFailed",
    "WorkerOptions",
    "WorkerTimedOut",
]
