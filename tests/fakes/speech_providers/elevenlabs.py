"""A service that behaves as ElevenLabs' API reference says."""

import itertools

from aiohttp import web

from tests.fakes.speech_providers.server import FakeProvider
from tests.fakes.speech_providers.sounds import THE_SAME, AudioAway, AudioTooShort, CorruptAudio

CORRUPT = ("invalid_content", "File upload is corrupted. Please ensure it is playable audio.")
TOO_SHORT = ("audio_too_short", "Audio is too short.")
AWAY = ("invalid_source_url", "The file could not be downloaded from the source URL.")


class FakeElevenLabs(FakeProvider):
    """`POST /v1/speech-to-text`, and its transcripts, which it keeps until they are deleted."""

    def __init__(self, **given):
        super().__init__(**given)
        self.kept = {}
        self.deleted = []
        self.numbers = itertools.count(1)

    def routes(self):
        transcript = "/v1/speech-to-text/transcripts/{transcription_id}"
        return [
            ("POST", "/v1/speech-to-text", self.convert),
            ("GET", transcript, self.transcript),
            ("DELETE", transcript, self.delete),
        ]

    def authorized(self, request):
        return request.headers.get("xi-api-key") == self.key

    def unauthorized(self):
        return _refused(401, "invalid_api_key", "Invalid API key")

    async def convert(self, _request, asked):
        try:
            sound = await self.ears(asked.form.get("file", (None,))[-1], asked.form.get("source_url"))
        except CorruptAudio:
            return _refused(400, *CORRUPT)
        except AudioTooShort:
            return _refused(400, *TOO_SHORT)
        except AudioAway:
            return _refused(400, *AWAY)
        transcription_id = f"tr_{next(self.numbers)}"
        answer = self.answer(asked.form, sound) | {"transcription_id": transcription_id}
        if asked.form.get("webhook") == "true":
            self.kept[transcription_id] = (2, answer)
            accepted = {"message": "Request accepted", "request_id": "rq_1", "transcription_id": transcription_id}
            return web.json_response(accepted, status=202)
        self.kept[transcription_id] = (0, answer)
        return web.json_response(answer)

    async def transcript(self, request, _asked):
        transcription_id = request.match_info["transcription_id"]
        looks, answer = self.kept.get(transcription_id, (0, None))
        if answer is None:
            return _not_found()
        if looks:
            self.kept[transcription_id] = (looks - 1, answer)
            return _not_found()
        return web.json_response(answer)

    async def delete(self, request, _asked):
        transcription_id = request.match_info["transcription_id"]
        if transcription_id not in self.kept:
            return _not_found()
        del self.kept[transcription_id]
        self.deleted.append(transcription_id)
        return web.json_response({"message": "Delete completed successfully."})

    def answer(self, form, sound=THE_SAME):
        apart, told = form.get("use_multi_channel") == "true", form.get("diarize") == "true"
        spoken = sorted(
            (
                (start, end, word, number if apart else None, f"speaker_{who}" if told else None)
                for number, channel in enumerate(sound.channels)
                for word, start, end, who in channel
            ),
            key=lambda heard: heard[0],
        )
        words = []
        for start, end, word, number, speaker in spoken:
            whose = {"logprob": 0.0, "speaker_id": speaker} | ({"channel_index": number} if apart else {})
            if words:
                words.append({"text": " ", "start": words[-1]["end"], "end": start, "type": "spacing"} | whose)
            words.append({"text": word, "start": start, "end": end, "type": "word"} | whose | {"logprob": -0.02})
        return {
            "language_code": "eng",
            "language_probability": 0.99,
            "text": sound.text,
            "words": words,
            "transcription_id": "tr_1",
            "audio_duration_secs": sound.duration_s,
        }


def _not_found():
    return _refused(404, "not_found", "Transcript not found")


def _refused(status, code, message):
    return web.json_response({"detail": {"status": code, "message": message}}, status=status)
