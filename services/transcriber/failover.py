"""What happens when a provider fails: the next one of the project's list is tried, each once."""

import msgspec

from services.transcriber.ports import Claims, ProcessingConfigs, RemoteQueue
from shared.domain.job import Job
from shared.domain.languages import LANGUAGES
from shared.domain.transcription import ProviderName, Transcription, lane_of
from shared.telemetry.logs import get_logger

log = get_logger()


class FailOver:
    """Turns transcriptions to their next provider."""

    def __init__(self, configs: ProcessingConfigs, claims: Claims, queue: RemoteQueue) -> None:
        self._configs, self._claims, self._queue = configs, claims, queue

    async def turn(self, claimed: Transcription, reason: str) -> bool:
        """Return the job to the queue for the next provider; False, and nothing is changed, when every one was tried.

        A language that the next provider does not take in this form is left to its detection.
        """
        tried = (*claimed.tried, claimed.provider)
        listed = (await self._configs.processing(claimed.tenant)).failover_providers
        following = next((provider for provider in listed if provider not in tried), None)
        if following is None:
            return False
        log.warning("provider.replaced", provider=claimed.provider, following=following, reason=reason[:200])
        language = _accepted(following, claimed.requested_language)
        await self._claims.finish(
            claimed,
            lambda present: (
                present.changed(
                    provider=following, tried=tried, requested_language=language, remote=None, job=_moved(present.job, following)
                ),
                (),
            ),
        )
        await self._queue.hand_back(claimed, 0.0, counted=False)
        return True


def _moved(job: Job, provider: ProviderName) -> Job:
    return msgspec.structs.replace(job, lane=lane_of(provider))


def _accepted(provider: ProviderName, language: str | None) -> str | None:
    return None if language is None else LANGUAGES[provider].accept(language)
