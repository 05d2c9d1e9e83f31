"""Runs attempts: those of new deliveries at once, all others when the schedule kept in MongoDB says so."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any

import msgspec

from services.webhooks.ports import ClaimedDeliveries, DueDeliveries, Endpoints
from services.webhooks.slots import Slots
from shared.domain.clock import now
from shared.domain.delivery import Delivery, DueDelivery
from shared.domain.errors import TransientFailure
from shared.domain.webhook import EndpointStatus, WebhookEndpoint
from shared.telemetry.logs import get_logger
from shared.telemetry.metrics import jobs

log = get_logger()

HOLD = timedelta(hours=1)
"""What waits for a disabled endpoint is looked at so often: if its being enabled was missed, it goes on by itself."""
UNSIGNED_HOLD = timedelta(minutes=1)
"""What waits for an endpoint that cannot be read here, or its secrets, is looked at so often: nobody tells when they can be."""
_QUEUE = "webhook_deliveries"


class Worker(msgspec.Struct, frozen=True):
    """Who claims deliveries, and for how long: a lease outlasts the longest attempt, so it needs no renewal."""

    name: str
    lease_s: float


class Dispatcher:
    """Holds the attempts that run in this process."""

    def __init__(
        self,
        attempt: Callable[[Delivery, WebhookEndpoint], Coroutine[Any, Any, None]],
        deliveries: ClaimedDeliveries,
        slots: Slots,
        worker: Worker,
    ) -> None:
        self._attempt, self._deliveries, self._slots, self._worker = attempt, deliveries, slots, worker
        self._running: dict[asyncio.Task[None], Delivery] = {}
        self._draining = False

    def claimed(self, delivery: Delivery, endpoint: WebhookEndpoint) -> Delivery:
        """Return a delivery about to be stored as claimed by this worker if it can send it now, else as it is, for the queue.

        The slot of a claimed one is held until `begin` or `forget`.
        """
        if self._draining or not endpoint.can_sign or not self._slots.take(endpoint):
            return delivery
        until = now() + timedelta(seconds=self._worker.lease_s)
        return delivery.changed(worker=self._worker.name, token=delivery.token + 1, next_attempt_at=until)

    def begin(self, claimed: Delivery, endpoint: WebhookEndpoint) -> None:
        """Attempt a stored claim, in the background; once drained, leave it to the end of its lease."""
        if self._draining:
            self.forget(claimed)
            return
        task = asyncio.create_task(self._attempt(claimed, endpoint), name=claimed.id)
        self._running[task] = claimed
        jobs.labels(_QUEUE, "running").inc()
        task.add_done_callback(self._ended)

    def forget(self, claimed: Delivery) -> None:
        """Give back the slot of a claim that was not stored."""
        self._slots.give_back(claimed.endpoint_id)

    async def drain(self, grace_s: float) -> None:
        """Begin nothing new; let what runs finish within `grace_s` seconds, then hand the rest back."""
        self._draining = True
        if self._running:
            await asyncio.wait(self._running, timeout=grace_s)
        cut = dict(self._running)
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
        await asyncio.gather(*(self._hand_back(claimed) for task, claimed in cut.items() if task.cancelled()))

    async def _hand_back(self, claimed: Delivery) -> None:
        with contextlib.suppress(TransientFailure):  # the lease ends by itself
            await self._deliveries.record(claimed, claimed.handed_back())

    def _ended(self, task: asyncio.Task[None]) -> None:
        claimed = self._running.pop(task)
        jobs.labels(_QUEUE, "running").dec()
        self._slots.give_back(claimed.endpoint_id)
        if not task.cancelled() and task.exception() is not None:
            log.error("webhook.dispatch_fault", delivery_id=claimed.id, exc_info=task.exception())


class DueQueue:
    """Claims deliveries whose time has come, endpoint by endpoint in turn, and has them attempted.

    What is due at a disabled endpoint is held until it is enabled again, and where nothing can be signed until it can be.
    """

    def __init__(self, queue: DueDeliveries, endpoints: Endpoints, dispatcher: Dispatcher, slots: Slots, worker: Worker) -> None:
        self._queue, self._endpoints = queue, endpoints
        self._dispatcher, self._slots, self._worker = dispatcher, slots, worker
        self._after = ""

    def _may_send(self, endpoint: WebhookEndpoint) -> bool:
        return endpoint.status is EndpointStatus.ENABLED

    def _can_send(self, endpoint: WebhookEndpoint) -> bool:
        return endpoint.can_sign and self._may_send(endpoint)

    async def run(self, poll_s: float) -> None:
        """Look every `poll_s` seconds, and whenever a slot is freed that somebody waits for; until cancelled."""
        while True:
            try:
                await self.begin_due()
            except TransientFailure as failure:
                log.warning("webhook.queue_deferred", error=type(failure).__name__, reason=str(failure)[:200])
                await asyncio.sleep(poll_s)
            with contextlib.suppress(TimeoutError):
                wait_s = poll_s * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
                await asyncio.wait_for(self._slots.freed.wait(), wait_s)

    async def begin_due(self) -> None:
        """Begin whatever is due while slots are free, going round the endpoints from where the last look ended."""
        self._slots.freed.clear()
        while self._slots.free:
            full = self._slots.full()
            if full:
                self._slots.want()
            due = await self._queue.next_due(self._after, full)
            if due is not None:
                self._after = due.endpoint_id
                await self._guarded(due)
            elif self._after:
                self._after = ""
            else:
                return
        self._slots.want()

    async def _guarded(self, due: DueDelivery) -> None:
        """One endpoint that cannot be dealt with, as one that cannot be read, must not keep the others back: it is held."""
        try:
            await self._begin_at(due)
        except TransientFailure:
            raise
        except Exception:
            log.exception("webhook.due_fault", endpoint_id=due.endpoint_id)
            await self._queue.hold_due(due.endpoint_id, now() + UNSIGNED_HOLD)

    async def _begin_at(self, due: DueDelivery) -> None:
        endpoint = await self._endpoints.get(due.tenant, due.endpoint_id)
        if endpoint is None:
            cancelled = await self._queue.cancel_due(due.endpoint_id)
            log.info("webhook.cancelled", endpoint_id=due.endpoint_id, deliveries=cancelled)
        elif not self._can_send(endpoint):
            await self._hold(endpoint, HOLD if endpoint.can_sign else UNSIGNED_HOLD)
        elif (free := self._slots.free_at(endpoint)) > 0:
            waiting = await self._queue.due_of(endpoint.id, free)
            await _to_their_end(self._claim(one, endpoint) for one in waiting)

    async def _hold(self, endpoint: WebhookEndpoint, pause: timedelta) -> None:
        held = await self._queue.hold_due(endpoint.id, now() + pause)
        log.info("webhook.held", endpoint_id=endpoint.id, deliveries=held)
        present = await self._endpoints.get(endpoint.tenant, endpoint.id)
        if present is not None and self._can_send(present):  # enabled meanwhile: whoever did it may have looked before we held
            await self._queue.resume(endpoint.id)

    async def _claim(self, due: DueDelivery, endpoint: WebhookEndpoint) -> None:
        if not self._slots.take(endpoint):
            return
        claimed = None
        try:
            claimed = await self._queue.claim(due, self._worker.name, now() + timedelta(seconds=self._worker.lease_s))
        finally:
            if claimed is None:
                self._slots.give_back(endpoint.id)
        if claimed is not None:
            self._dispatcher.begin(claimed, endpoint)


async def _to_their_end(claims: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Let claims end even when we are cancelled: one that MongoDB made and nobody knows of would wait for its lease to end."""
    ending = asyncio.gather(*claims)
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await asyncio.gather(ending, return_exceptions=True)
        raise


class QueueOfTests(DueQueue):
    """The same for tests, which an endpoint hears even while it is disabled: how else would its owner know that it is well."""

    def _may_send(self, endpoint: WebhookEndpoint) -> bool:  # noqa: ARG002 - whatever its status
        return True
