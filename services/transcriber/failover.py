"""What happens when a provider fails: the next one of the project's list is tried, each once."""

import contextlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.transcriber.ports import Claims, ProcessingConfigs
from services.transcriber.unreadable_configs import tell_of_unreadable
from shared.domain.clock import now
from shared.domain.config.overrides import ConfigUnreadable
from shared.domain.errors import FailureReason
from shared.domain.job import Failure, Job
from shared.domain.languages import LANGUAGES
from shared.domain.tenant import Tenant
from shared.domain.transcription import ProviderName, Transcription, lane_of
from shared.telemetry.logs import get_logger
from shared.workers.lease_queue import LeaseLost, LeaseQueue

log = get_logger()

_NOT_THE_AUDIO = frozenset({FailureReason.PROVIDER_NOT_CONFIGURED, FailureReason.PROCESSING_ERROR})


class FailOver:
    """Turns transcriptions to their next provider."""

    def __init__(self, configs: ProcessingConfigs, claims: Claims) -> None:
        self._configs, self._claims = configs, claims

    async def turn(self, claimed: Transcription, reason: FailureReason, message: str) -> bool:
        """Return the job to the queue for the next provider; False, and nothing is changed, when every one was tried.

        So it is when the audio is at fault, which is so everywhere. What the job cost one provider in attempts does not count for
        the next. A language that the next one does not take in this form is left to its detection.
        """
        if reason not in _NOT_THE_AUDIO:
            return False
        tried = (*claimed.tried, claimed.provider)
        following = next((provider for provider in await self._listed(claimed.tenant) if provider not in tried), None)
        if following is None:
            return False
        log.warning("provider.replaced", provider=claimed.provider, following=following, reason=message[:200])
        language = _accepted(following, claimed.requested_language)
        await self._claims.finish(
            claimed,
            lambda present: (
                present.changed(
                    provider=following,
                    tried=tried,
                    requested_language=language,
                    remote=None,
                    job=_moved(present.job, following, now()),
                ),
                (),
            ),
        )
        return True

    async def _listed(self, tenant: Tenant) -> Sequence[ProviderName]:
        try:
            return (await self._configs.processing(tenant)).failover_providers
        except ConfigUnreadable as error:
            tell_of_unreadable(error, tenant)
            return ()


class FailingOver:
    """A queue whose jobs, where they fail though the audio is not at fault, go to the next provider of their project's list."""

    def __init__(self, queue: LeaseQueue[Transcription], failover: FailOver) -> None:
        self._queue, self._failover = queue, failover

    async def claim(self, worker: str, lease_s: float) -> Transcription | None:
        """Claim as the queue does."""
        return await self._queue.claim(worker, lease_s)

    async def renew(self, claimed: Transcription, until: datetime) -> bool:
        """Renew as the queue does."""
        return await self._queue.renew(claimed, until)

    async def hand_back(self, claimed: Transcription, after_s: float, *, counted: bool, died: bool = False) -> None:
        """Hand back as the queue does."""
        await self._queue.hand_back(claimed, after_s, counted=counted, died=died)

    async def fail(self, claimed: Transcription, failure: Failure) -> None:
        """Turn the job to the next provider, else end it as failed; does nothing when the lease is lost."""
        with contextlib.suppress(LeaseLost):
            if not await self._failover.turn(claimed, failure.reason, failure.message):
                await self._queue.fail(claimed, failure)


def _moved(job: Job, provider: ProviderName, at: datetime) -> Job:
    waiting = job.handed_back(at, 0.0, counted=False)
    return msgspec.structs.replace(waiting, lane=lane_of(provider), attempts=0, deaths=0)


def _accepted(provider: ProviderName, language: str | None) -> str | None:
    return None if language is None else LANGUAGES[provider].accept(language)
