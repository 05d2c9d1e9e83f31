"""The verb: a claimed transcription's audio becomes a transcript, stored once, under the newest claim."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from services.transcriber.ports import Provider, RecordingStore, ResultStore, SpeechRequest
from services.transcriber.show_progress import ShowProgress
from services.transcriber.source_audio import audio_of
from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.languages import base_language
from shared.domain.transcription import ProviderName, Transcription
from shared.telemetry.metrics import stage_seconds
from shared.uploads import Downloads, fetch_upload


class TranscribeRecording:
    """Runs the provider on a recording's audio; the text is stored before the status says `completed`."""

    def __init__(  # noqa: PLR0913 - the collaborators of the one verb
        self,
        *,
        recordings: RecordingStore,
        store: Downloads,
        results: ResultStore,
        progress: ShowProgress,
        providers: Sequence[Provider],
        spool: Path,
    ) -> None:
        self._recordings, self._store, self._results, self._progress = recordings, store, results, progress
        self._providers = {ProviderName(provider.name): provider for provider in providers}
        self._spool = spool

    async def __call__(self, transcription: Transcription) -> Transcription:
        """Transcribe and return the transcription as it stands after; raises `PermanentFailure` when it cannot be done."""
        provider = self._providers.get(transcription.provider)
        if provider is None:
            raise PermanentFailure(FailureReason.PROVIDER_NOT_CONFIGURED, f"{transcription.provider} is not configured here")
        recording, audio = await audio_of(self._recordings, transcription)
        with tempfile.TemporaryDirectory(dir=self._spool, prefix=f"{transcription.id}-") as folder:
            path = Path(folder) / "audio"
            await fetch_upload(self._store, audio, path)
            async with self._progress.of(transcription) as on_progress:
                transcript = await provider.transcribe(_speech_request(transcription, path, recording.duration_ms), on_progress)
        completed = await self._results.store(transcription, transcript)
        if completed.automatic and recording.uploaded_at is not None:
            stage_seconds.labels("uploaded_to_transcribed").observe((now() - recording.uploaded_at).total_seconds())
        return completed


def _speech_request(transcription: Transcription, audio: Path, duration_ms: int | None) -> SpeechRequest:
    options, language = transcription.options, transcription.requested_language
    return SpeechRequest(
        audio_path=audio,
        language=language and base_language(language),
        diarization=transcription.diarization,
        duration_ms=duration_ms,
        num_speakers=options.num_speakers,
        multichannel=options.multichannel,
        hints=" ".join(filter(None, (options.prompt, ", ".join(options.vocabulary)))) or None,
    )
