"""What a job runner needs of the documents that hold its jobs."""

from datetime import datetime
from typing import Any, Protocol, TypeVar

from shared.domain.job import Failure

A = TypeVar("A", bound=Any)


class LeaseLost(Exception):
    """A newer claim holds the job: this worker's result must not be written."""


class LeaseQueue(Protocol[A]):
    """Jobs inside documents, claimed with a lease and a fencing token that grows with every claim."""

    async def claim(self, worker: str, lease_s: float) -> A | None:
        """Claim the next job that may be claimed, fairly among projects, or return None."""

    async def renew(self, claimed: A, until: datetime) -> bool:
        """Keep the lease until `until`; False when it is lost."""

    async def hand_back(self, claimed: A, after_s: float, *, counted: bool, died: bool = False) -> None:
        """Return the job to the queue, claimable `after_s` seconds from now; one not `counted` costs no attempt.

        `died`: it took its worker process with it.
        """

    async def fail(self, claimed: A, failure: Failure) -> None:
        """End the job as failed, with its reason and its event; does nothing when the lease is lost."""
