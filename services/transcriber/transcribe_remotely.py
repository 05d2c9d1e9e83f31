"""The verb for providers on the network: an order is placed once, kept before it is waited on, and its result comes later.

While the provider works nothing waits here: the job goes back to the queue and is claimed again, by whichever worker, to ask; or,
where the result comes by itself, once it has come.
"""

from collections.abc import Callable, Mapping

import msgspec

from services.transcriber.cloud_ports import CloudProvider, Heard, Placed, ProviderUnavailable, SpeechOrder
from services.transcriber.failover import FailOver
from services.transcriber.order_book import OrderBook
from services.transcriber.ports import Claims, ProviderKeys, RecordingStore, ResultStore
from services.transcriber.remote_rules import RemoteRules, Step
from services.transcriber.source_audio import audio_of
from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.transcript import Transcript
from shared.domain.transcription import ProviderName, RemoteJob, Transcription, TranscriptionProgress
from shared.telemetry.logs import get_logger

log = get_logger()

_ORDERED = "ordered"  # how far a provider is, it does not tell


class TranscribeRemotely:
    """Brings a claimed transcription one step further: places its order, or takes its result."""

    def __init__(  # noqa: PLR0913 - the collaborators of the one verb
        self,
        *,
        recordings: RecordingStore,
        book: OrderBook,
        results: ResultStore,
        claims: Claims,
        failover: FailOver,
        providers: Mapping[ProviderName, CloudProvider],
        keys: ProviderKeys,
        rules: RemoteRules,
    ) -> None:
        self._recordings, self._book, self._results = recordings, book, results
        self._claims, self._failover = claims, failover
        self._providers, self._keys, self._rules = providers, keys, rules

    async def __call__(self, transcription: Transcription) -> None:
        """Do the next step; afterwards the transcription is completed, or waits in the queue for its next step.

        Raises `PermanentFailure` when it cannot be done and no other provider is left to try.
        """
        try:
            transcript = await self._advance(transcription)
        except ProviderUnavailable as failure:
            await self._bear(transcription, failure)
        except PermanentFailure as failure:
            if not await self._failover.turn(transcription, failure.reason, str(failure)):
                raise
        else:
            if transcript is None:
                await self._wait(transcription)
            else:
                await self._results.store(transcription, transcript)
                await self._book.end(transcription)

    async def _advance(self, transcription: Transcription) -> Transcript | None:
        provider = self._providers.get(transcription.provider)
        key = await self._keys.key(transcription.tenant, transcription.provider)
        if provider is None or key is None:
            raise PermanentFailure(FailureReason.PROVIDER_NOT_CONFIGURED, f"{transcription.provider} is not configured here")
        recording, _ = await audio_of(self._recordings, transcription)
        step = self._rules.next_step(transcription.remote, now())
        async with self._book.written(transcription, recording, provider, key, with_audio=step is Step.PLACE) as order:
            match step:
                case Step.PLACE:
                    return await self._place(provider, transcription, order)
                case Step.COLLECT:
                    return await self._collect(provider, transcription, order)
                case Step.READ:
                    return _heard(provider, await self._book.answer(transcription), order).transcript
                case Step.AWAIT:
                    return None
                case Step.GIVE_UP:
                    raise PermanentFailure(FailureReason.PROCESSING_ERROR, f"{transcription.provider} did not finish in time")

    async def _place(self, provider: CloudProvider, transcription: Transcription, order: SpeechOrder) -> Transcript | None:
        """Place the order, unless it is found to have been placed, or answered, already."""
        if transcription.remote is not None and (found := await self._found(provider, transcription, order)):
            return await self._taken(provider, transcription, found)
        order = await self._book.answerable(transcription, provider, order)
        at = now()

        def asked(remote: RemoteJob | None) -> RemoteJob:
            whole = transcription.options.multichannel and not order.multichannel
            remote = remote or RemoteJob(provider=transcription.provider, placed_at=at, whole=whole)
            asked_at, sent_at = (at, None) if order.callback_url else (None, at)
            return msgspec.structs.replace(remote, asked_at=asked_at, sent_at=sent_at)

        kept = await self._keep(transcription, asked)
        if kept.remote is not None and kept.remote.answered_at is not None:  # a moment ago
            return None
        try:
            placed = await provider.place(order)
        except (PermanentFailure, ProviderUnavailable) as failure:
            await self._not_placed(transcription, failure)
            raise
        return await self._taken(provider, transcription, placed)

    async def _not_placed(self, transcription: Transcription, failure: PermanentFailure | ProviderUnavailable) -> None:
        """Where the order was surely not taken, nor may one before it have been, there is nothing to look for there."""
        maybe_before = transcription.remote is not None and transcription.remote.sent_at is not None
        if not maybe_before and (isinstance(failure, PermanentFailure) or failure.untaken):
            await self._book.unmark(transcription)

    async def _found(self, provider: CloudProvider, transcription: Transcription, order: SpeechOrder) -> Placed | Heard | None:
        """Return what has become of an order that may have been placed before, None when it may be placed now.

        One that may have been taken, and of which nothing can be found, is not placed again: it would be paid for twice.
        """
        if provider.finds_orders:
            return await provider.recover(order)
        if transcription.remote is None or transcription.remote.sent_at is None:
            return None
        if (body := await self._book.found_answer(transcription)) is not None:
            return _heard(provider, body, order)
        if self._rules.order_again:
            return None
        raise PermanentFailure(FailureReason.PROCESSING_ERROR, f"{provider.name} may have taken the order; its answer was lost")

    async def _collect(self, provider: CloudProvider, transcription: Transcription, order: SpeechOrder) -> Transcript | None:
        remote = transcription.remote
        assert remote is not None
        assert remote.job_id is not None
        collected = await provider.collect(order, remote.job_id)
        if isinstance(collected, Transcript):
            return collected
        if collected is None and not remote.failures:
            return None
        return await self._taken(provider, transcription, collected or Placed(remote.job_id))

    async def _taken(self, provider: CloudProvider, transcription: Transcription, outcome: Placed | Heard) -> Transcript | None:
        """Keep the answer, and the provider's own id, before anything else is done with what it said."""
        if isinstance(outcome, Heard):
            await self._book.keep_answer(transcription, outcome.body)
        if (job_id := outcome.job_id) is not None:
            await self._book.note(transcription, provider, job_id)
            placed = RemoteJob(provider=transcription.provider, placed_at=now())
            await self._keep(transcription, lambda remote: msgspec.structs.replace(remote or placed, job_id=job_id, failures=0))
        return outcome.transcript if isinstance(outcome, Heard) else None

    async def _keep(self, transcription: Transcription, change: Callable[[RemoteJob | None], RemoteJob]) -> Transcription:
        return await self._claims.finish(transcription, lambda present: (present.changed(remote=change(present.remote)), ()))

    async def _wait(self, transcription: Transcription) -> None:
        """Return the job to the queue; when the answer has come meanwhile, for no time at all."""

        def waiting(present: Transcription) -> tuple[Transcription, tuple[()]]:
            at = now()
            pause_s = self._rules.pause_s(present.remote, at)
            progress = TranscriptionProgress(percent=0, stage=_ORDERED, estimated_completion_at=None, updated_at=at)
            return present.changed(job=present.job.handed_back(at, pause_s, counted=False), progress=progress), ()

        await self._claims.finish(transcription, waiting)

    async def _bear(self, transcription: Transcription, failure: ProviderUnavailable) -> None:
        """Try again later, as the provider asks or with growing pauses; after too many failures in a row turn elsewhere."""
        before = transcription.remote or RemoteJob(provider=transcription.provider, placed_at=now())
        failures = before.failures + 1
        log.warning("provider.failed", provider=transcription.provider, failures=failures, reason=str(failure)[:200])
        if failures >= self._rules.most_failures:
            if await self._failover.turn(transcription, FailureReason.PROCESSING_ERROR, str(failure)):
                return
            raise PermanentFailure(
                FailureReason.PROCESSING_ERROR, f"{transcription.provider} failed again and again"
            ) from failure

        def borne(present: Transcription) -> tuple[Transcription, tuple[()]]:
            at, remote = now(), present.remote or before
            if failure.untaken:
                remote = msgspec.structs.replace(remote, asked_at=None, sent_at=None)
            remote = msgspec.structs.replace(remote, failures=failures)
            pause_s = self._rules.pause_after_failure_s(remote, at, failure.retry_after_s)
            return present.changed(remote=remote, job=present.job.handed_back(at, pause_s, counted=False)), ()

        await self._claims.finish(transcription, borne)


def _heard(provider: CloudProvider, body: bytes, order: SpeechOrder) -> Heard:
    """Return what is in an answer that was kept; one that cannot be read will not get better."""
    try:
        return provider.read(body, order)
    except ProviderUnavailable as failure:
        raise PermanentFailure(FailureReason.PROCESSING_ERROR, str(failure)) from failure
