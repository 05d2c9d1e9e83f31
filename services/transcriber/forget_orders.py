"""What is left of orders at providers is deleted once their transcriptions have ended, however they did."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from services.transcriber.cloud_ports import CloudProvider, ProviderUnavailable
from services.transcriber.ports import AnswerObjects, OrderStore, PresentTranscriptions, ProviderKeys
from shared.domain.clock import now
from shared.domain.errors import PermanentFailure
from shared.domain.provider_order import ProviderOrder
from shared.domain.transcription import ProviderName
from shared.telemetry.logs import get_logger
from shared.telemetry.metrics import provider_copies_total

log = get_logger()

_AT_ONCE = 4
_LEASE = timedelta(minutes=5)
_NEXT_LOOK = timedelta(minutes=1)
_REMEMBERED = timedelta(days=1)
_FIRST_PAUSE_S = 30.0
_MOST_TRIES = 8  # an hour in all


class ForgetOrders:
    """Looks at orders that are due: those still needed are left alone, of the others everything is deleted.

    That is the answer that waited in our own store, and, unless `keep_copies`, what the provider keeps. A provider that does not
    do it is asked again for an hour, then left with its copy; no transcription ever fails or waits for that.
    """

    def __init__(  # noqa: PLR0913 - the collaborators of the one verb
        self,
        *,
        orders: OrderStore,
        transcriptions: PresentTranscriptions,
        objects: AnswerObjects,
        providers: Mapping[ProviderName, CloudProvider],
        keys: ProviderKeys,
        keep_copies: bool,
    ) -> None:
        self._orders, self._transcriptions, self._objects = orders, transcriptions, objects
        self._providers, self._keys, self._keep_copies = providers, keys, keep_copies

    async def __call__(self) -> None:
        """Work off what is due; replicas share it, and what a crash interrupts is due again minutes later."""
        outcomes = await asyncio.gather(*(self._work_off() for _ in range(_AT_ONCE)), return_exceptions=True)
        for error in filter(None, outcomes):
            raise error

    async def _work_off(self) -> None:
        while (order := await self._orders.claim_due(now() + _LEASE)) is not None:
            if order.is_needed_by(await self._transcriptions.get(order.tenant, order.transcription_id)):
                await self._orders.look_again(order, now() + _NEXT_LOOK)
            else:
                await self._forget(order)

    async def _forget(self, order: ProviderOrder) -> None:
        await self._objects.delete([order.answer_key])
        try:
            await self._delete_copies(order)
        except (ProviderUnavailable, PermanentFailure) as failure:
            if not await self._given_up(order, failure):
                return
        await self._orders.close(order, now() + _REMEMBERED)

    async def _delete_copies(self, order: ProviderOrder) -> None:
        if self._keep_copies or not (order.copies or order.mark):
            return
        provider, key = self._providers[order.provider], await self._keys.key(order.tenant, order.provider)
        if key is None:
            raise ProviderUnavailable(f"there is no key for {order.provider} any more")
        for job_id in order.copies:
            await provider.forget(key, job_id)
            provider_copies_total.labels(order.provider, "deleted").inc()
        if order.mark is not None and not order.copies:  # whoever ordered was stopped before it could note the id
            await provider.forget_marked(key, order.mark)

    async def _given_up(self, order: ProviderOrder, failure: ProviderUnavailable | PermanentFailure) -> bool:
        """Note the failure; say whether it was the last."""
        provider_copies_total.labels(order.provider, "failed").inc()
        if order.tries + 1 < _MOST_TRIES:
            asked_s = failure.retry_after_s or 0.0 if isinstance(failure, ProviderUnavailable) else 0.0
            pause_s = max(_FIRST_PAUSE_S * 2**order.tries, asked_s)
            await self._orders.try_again(order, now() + timedelta(seconds=pause_s))
            return False
        provider_copies_total.labels(order.provider, "left").inc()
        log.warning(
            "provider.copy_left",
            provider=order.provider,
            id=order.transcription_id,
            project_id=order.project_id,
            copies=order.copies,
            mark=None if order.copies else order.mark,
            reason=str(failure)[:200],
        )
        return True
