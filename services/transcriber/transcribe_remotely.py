"""The verb for providers on the network: an order is placed once, kept before it is waited on, and collected later.

While the provider works nothing waits here: the job goes back to the queue and is claimed again, by whichever worker, to ask.
"""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from services.transcriber.cloud_ports import AudioSource, CloudProvider, Placed, ProviderUnavailable, SpeechOrder
from services.transcriber.failover import FailOver
from services.transcriber.ports import AudioLocator, Claims, ProviderKeys, RecordingStore, RemoteQueue, ResultStore
from services.transcriber.source_audio import audio_of, fetch
from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.media import Media
from shared.domain.recording import Recording
from shared.domain.transcript import Transcript
from shared.domain.transcription import ProviderName, RemoteJob, Transcription
from shared.telemetry.logs import get_logger

log = get_logger()

_PIECE_BYTES = 1024 * 1024
_NOT_THE_AUDIO = frozenset({FailureReason.PROVIDER_NOT_CONFIGURED, FailureReason.PROCESSING_ERROR})


class RemoteRules(msgspec.Struct, frozen=True, kw_only=True):
    """How long a provider is borne with: failed exchanges in a row, and seconds from the order to the result.

    It is asked after `first_pause_s`, then after a tenth of the time it has taken, at least every `longest_pause_s` seconds.
    `fetch_s`: for how long the URL holds by which a provider fetches the audio; None sends it the bytes.
    """

    most_failures: int = 8
    time_limit_s: float = 6 * 3600.0
    first_pause_s: float = 2.0
    longest_pause_s: float = 30.0
    fetch_s: int | None = None


class TranscribeRemotely:
    """Brings a claimed transcription one step further: places its order, or asks for the result."""

    def __init__(  # noqa: PLR0913 - the collaborators of the one verb
        self,
        *,
        recordings: RecordingStore,
        store: AudioLocator,
        results: ResultStore,
        claims: Claims,
        queue: RemoteQueue,
        failover: FailOver,
        providers: Mapping[ProviderName, CloudProvider],
        keys: ProviderKeys,
        spool: Path,
        rules: RemoteRules,
    ) -> None:
        self._recordings, self._store, self._results = recordings, store, results
        self._claims, self._queue, self._failover = claims, queue, failover
        self._providers, self._keys = providers, keys
        self._spool, self._rules = spool, rules

    async def __call__(self, transcription: Transcription) -> None:
        """Do the next step; afterwards the transcription is completed, or waits in the queue for its next step.

        Raises `PermanentFailure` when it cannot be done and no other provider is left to try.
        """
        try:
            outcome = await self._step(transcription)
        except ProviderUnavailable as failure:
            await self._bear(transcription, failure)
        except PermanentFailure as failure:
            if failure.reason not in _NOT_THE_AUDIO or not await self._failover.turn(transcription, str(failure)):
                raise
        else:
            if isinstance(outcome, Transcript):
                await self._results.store(transcription, outcome)
            else:
                await self._queue.hand_back(transcription, self._pause_s(transcription.remote), counted=False)

    async def _step(self, transcription: Transcription) -> Transcript | None:
        provider = self._providers.get(transcription.provider)
        key = await self._keys.key(transcription.tenant, transcription.provider)
        if provider is None or key is None:
            raise PermanentFailure(FailureReason.PROVIDER_NOT_CONFIGURED, f"{transcription.provider} is not configured here")
        recording, audio = await audio_of(self._recordings, transcription)
        async with self._ordered(transcription, recording, audio, key) as order:
            return await self._advance(provider, transcription, order)

    async def _advance(self, provider: CloudProvider, transcription: Transcription, order: SpeechOrder) -> Transcript | None:
        remote = transcription.remote
        if remote is None:
            remote = RemoteJob(provider=transcription.provider, placed_at=now())
            await self._keep(transcription, remote)
            outcome = await provider.place(order)
        elif remote.placed_at < now() - timedelta(seconds=self._rules.time_limit_s):
            raise PermanentFailure(FailureReason.PROCESSING_ERROR, f"{transcription.provider} did not finish in time")
        elif remote.job_id is None:  # placed once, or never: nobody lived to note the answer
            outcome = await provider.recover(order) or await provider.place(order)
        else:
            collected = await provider.collect(order, remote.job_id)
            if collected is None and not remote.failures:
                return None
            outcome = collected or Placed(remote.job_id)
        if isinstance(outcome, Placed):
            await self._keep(transcription, msgspec.structs.replace(remote, job_id=outcome.job_id, failures=0))
            return None
        return outcome

    async def _keep(self, transcription: Transcription, remote: RemoteJob | None) -> None:
        await self._claims.finish(transcription, lambda present: (present.changed(remote=remote), ()))

    async def _bear(self, transcription: Transcription, failure: ProviderUnavailable) -> None:
        """Try again later, as the provider asks or with growing pauses; after too many failures in a row turn elsewhere."""
        remote = transcription.remote or RemoteJob(provider=transcription.provider, placed_at=now())
        failures = remote.failures + 1
        log.warning("provider.failed", provider=transcription.provider, failures=failures, reason=str(failure)[:200])
        if failures >= self._rules.most_failures:
            if await self._failover.turn(transcription, str(failure)):
                return
            raise PermanentFailure(
                FailureReason.PROCESSING_ERROR, f"{transcription.provider} failed again and again"
            ) from failure

        def noted(present: Transcription) -> tuple[Transcription, tuple[()]]:
            kept = present.remote or remote
            return present.changed(remote=msgspec.structs.replace(kept, failures=failures)), ()

        await self._claims.finish(transcription, noted)
        wait_s = min(self._rules.first_pause_s * 2**failures, 10 * self._rules.longest_pause_s)
        await self._queue.hand_back(transcription, max(wait_s, failure.retry_after_s or 0.0), counted=False)

    @asynccontextmanager
    async def _ordered(
        self, transcription: Transcription, recording: Recording, audio: Media, key: str
    ) -> AsyncIterator[SpeechOrder]:
        """Yield the order; its audio is fetched to a file only when the provider is first given the bytes."""
        with tempfile.TemporaryDirectory(dir=self._spool, prefix=f"{transcription.id}-") as folder:
            path, placed = Path(folder) / "audio", transcription.remote is not None and transcription.remote.job_id is not None
            url = self._url(transcription, audio)
            if url is None and not placed:
                await fetch(self._store, audio, path)
            source = AudioSource(
                content_type=audio.content_type,
                filename=_filename(transcription, audio),
                size_bytes=audio.file_size_bytes or 0,
                open=lambda: _pieces(path),
                url=url,
            )
            yield SpeechOrder(
                reference=transcription.id,
                api_key=key,
                audio=source,
                duration_ms=recording.duration_ms or 0,
                language=transcription.requested_language,
                diarization=transcription.diarization,
                num_speakers=transcription.options.num_speakers,
                multichannel=transcription.options.multichannel,
                vocabulary=transcription.options.vocabulary,
            )

    def _pause_s(self, remote: RemoteJob | None) -> float:
        age_s = 0.0 if remote is None else (now() - remote.placed_at).total_seconds()
        return min(max(self._rules.first_pause_s, age_s / 10), self._rules.longest_pause_s)

    def _url(self, transcription: Transcription, audio: Media) -> str | None:
        if self._rules.fetch_s is None:
            return None
        return self._store.presigned_get(audio.object_key, self._rules.fetch_s, filename=_filename(transcription, audio))


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:  # from the page cache: it was just written
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _filename(transcription: Transcription, audio: Media) -> str:
    return transcription.id + Path(audio.object_key).suffix
