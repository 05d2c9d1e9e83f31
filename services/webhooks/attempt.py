"""One attempt: sign, post, judge the answer, record it."""

import asyncio
import math
import time
from datetime import datetime, timedelta

import msgspec

from services.webhooks.ports import Answer, ClaimedDeliveries, Endpoints, Sender
from services.webhooks.schedule import Schedule, retry_after_s
from services.webhooks.signature import signed_headers
from shared.domain.clock import now
from shared.domain.delivery import Attempt, AttemptError, Delivery, DeliveryStatus
from shared.domain.errors import TransientFailure
from shared.domain.trace import traced
from shared.domain.webhook import DisabledReason, WebhookEndpoint
from shared.telemetry.logs import bind, get_logger, wide_event
from shared.telemetry.metrics import stage_seconds, webhook_attempts_total

log = get_logger()

GONE = 410
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0


class AttemptRules(msgspec.Struct, frozen=True, kw_only=True):
    """How attempts look and what follows from them."""

    schedule: Schedule
    header_prefix: str = "X-Bota"
    disable_after_s: float = 5 * 86_400.0
    test_timeout_s: float = 10.0


class AttemptDelivery:
    """Makes one attempt of a claimed delivery and records it, whatever came of it; only a cancellation is raised.

    A test has a time limit of its own, is never repeated, and says nothing of how its endpoint does.
    """

    def __init__(self, endpoints: Endpoints, deliveries: ClaimedDeliveries, sender: Sender, rules: AttemptRules) -> None:
        self._endpoints, self._deliveries, self._sender, self._rules = endpoints, deliveries, sender, rules

    async def __call__(self, claimed: Delivery, endpoint: WebhookEndpoint) -> None:
        """Post once. A record that cannot be stored before the lease ends leaves the delivery to be attempted again."""
        about = {"recording_id": claimed.recording_id, "event_id": claimed.event_id, "project_id": claimed.project_id}
        number = claimed.attempts_made + 1
        with (
            traced(claimed.trace_id),
            bind(**about),
            wide_event(log, "webhook.attempt", delivery_id=claimed.id, attempt=number) as line,
        ):
            line |= {"endpoint_id": endpoint.id, "type": claimed.event_type, "test": claimed.test}
            at, began = now(), time.perf_counter()
            answer = await self._post(claimed, endpoint, at)
            duration_ms = round((time.perf_counter() - began) * 1000)
            outcome = _outcome_of(answer)
            line |= {"outcome": outcome, "status_code": answer.status_code, "post_ms": duration_ms}
            attempt = Attempt(
                number=number,
                at=at,
                duration_ms=duration_ms,
                status_code=answer.status_code,
                error=answer.error,
                response=answer.response,
                manual=claimed.asked_for,
            )
            after = self._judged(claimed, attempt, answer)
            line |= {"delivery": after.status, "since_event_ms": round((now() - claimed.occurred_at).total_seconds() * 1000)}
            webhook_attempts_total.labels(outcome).inc()
            line["recorded"] = await self._record(claimed, after)
            if not claimed.test:
                await self._note(endpoint, answer, at)

    async def _post(self, claimed: Delivery, endpoint: WebhookEndpoint, at: datetime) -> Answer:
        try:
            secrets = endpoint.valid_secrets(at)
            headers = signed_headers(self._rules.header_prefix, secrets, claimed.event_id, claimed.body, at)
            within_s = self._rules.test_timeout_s if claimed.test else math.inf
            return await self._sender.post(endpoint.url, headers, claimed.body, within_s)
        except Exception:  # a fault of ours must end as a failed attempt, or the delivery would be claimed for ever
            log.exception("webhook.attempt_fault", delivery_id=claimed.id)
            return Answer(error=AttemptError.INTERNAL_ERROR)

    def _judged(self, claimed: Delivery, attempt: Attempt, answer: Answer) -> Delivery:
        if answer.accepted:
            if claimed.attempts_made == 0 and not claimed.test:
                stage_seconds.labels("webhook").observe((now() - claimed.occurred_at).total_seconds())
            return claimed.attempted(attempt, DeliveryStatus.SUCCEEDED, None)
        ended_at = now()
        asked_s = retry_after_s(answer.retry_after, ended_at)
        again_at = self._rules.schedule.next_attempt_at(claimed.tries + 1, ended_at, asked_s)
        if again_at is None or claimed.test or answer.status_code == GONE:
            return claimed.attempted(attempt, DeliveryStatus.FAILED, None)
        return claimed.attempted(attempt, DeliveryStatus.PENDING, again_at)

    async def _record(self, claimed: Delivery, after: Delivery) -> bool:
        """Store the result, patiently until the lease ends: what is not recorded is sent twice."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await self._deliveries.record(claimed, after)
            except TransientFailure as failure:
                if claimed.next_attempt_at is None or now() + timedelta(seconds=pause_s) >= claimed.next_attempt_at:
                    log.warning("webhook.not_recorded", delivery_id=claimed.id, reason=str(failure)[:200])
                    return False
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _note(self, endpoint: WebhookEndpoint, answer: Answer, at: datetime) -> None:
        """Keep account of how the endpoint does, unless it has been changed since; costs nothing while all is well."""
        try:
            if answer.accepted:
                if endpoint.failing_since is not None:
                    await self._endpoints.note_success(endpoint)
            elif answer.status_code == GONE:
                await self._disable(endpoint, DisabledReason.GONE)
            elif answer.error is not AttemptError.INTERNAL_ERROR:
                await self._note_failure(endpoint, at)
        except TransientFailure as failure:
            log.warning("webhook.not_noted", endpoint_id=endpoint.id, reason=str(failure)[:200])

    async def _note_failure(self, endpoint: WebhookEndpoint, at: datetime) -> None:
        known = endpoint.failing_since
        if known is not None and not self._too_long(known, at):
            return
        since = await self._endpoints.note_failure(endpoint, at)
        if since is not None and self._too_long(since, at):
            await self._disable(endpoint, DisabledReason.FAILING)

    def _too_long(self, since: datetime, at: datetime) -> bool:
        return (at - since).total_seconds() >= self._rules.disable_after_s

    async def _disable(self, endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
        if await self._endpoints.disable(endpoint, reason):
            log.warning("webhook.endpoint_disabled", endpoint_id=endpoint.id, reason=reason)


def _outcome_of(answer: Answer) -> str:
    """Name the outcome for metrics and logs: `success`, `rejected` (an answer other than 2xx) or the error."""
    if answer.accepted:
        return "success"
    return "rejected" if answer.error is None else answer.error
