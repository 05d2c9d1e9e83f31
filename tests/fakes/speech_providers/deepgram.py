"""A service that behaves as Deepgram's API reference says."""

import json

import aiohttp
from aiohttp import web

from tests.fakes.speech_providers.server import FakeProvider
from tests.fakes.speech_providers.sounds import THE_SAME, AudioAway, AudioTooShort, CorruptAudio

REQUEST_ID = "0b8e7a3c-1d2f-4e5a-9b6c-7d8e9f0a1b2c"
CORRUPT = "Bad Request: failed to process audio: corrupt or unsupported data"
AWAY = "The remote server hosting the media returned a client error: 404 Not Found."


class FakeDeepgram(FakeProvider):
    """`POST /v1/listen`; where a callback is asked for, the answer goes there: see `called_back`. It keeps nothing."""

    def __init__(self, **given):
        super().__init__(**given)
        self.orders = []

    def routes(self):
        return [("POST", "/v1/listen", self.listen)]

    def authorized(self, request):
        return request.headers.get("Authorization") == f"Token {self.key}"

    def unauthorized(self):
        return _refused(401, "INVALID_AUTH", "Invalid credentials.")

    async def listen(self, _request, asked):
        if "callback" in asked.query:
            self.orders.append(asked.query)
            await self.before_accepting()
            return web.json_response({"request_id": f"0b8e7a3c-1d2f-4e5a-9b6c-{len(self.orders):012d}"})
        try:
            sound = await self.ears(None if asked.json else asked.body, (asked.json or {}).get("url"))
        except CorruptAudio:
            return _refused(400, "Bad Request", CORRUPT)
        except AudioAway:
            return _refused(400, "REMOTE_CONTENT_ERROR", AWAY)
        except AudioTooShort as short:
            sound = short.sound
        return web.json_response(self.answer(asked.query, sound))

    async def before_accepting(self):
        """What happens while the order is taken, before its id is told; tests set it."""

    async def called_back(self, number=0, body=None, *, method="POST"):
        """Send the answer of an order, or `body` in its place, to where it was asked for; the status it is met with."""
        query = self.orders[number]
        content = json.dumps(self.answer(query)).encode() if body is None else body
        headers = {"Content-Type": "application/json", "dg-token": "11111111-2222-3333-4444-555555555555"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, query["callback"], data=content, headers=headers) as answer,
        ):
            return answer.status

    def answer(self, query, sound=THE_SAME):
        apart = query.get("multichannel") == "true"
        heard = [sorted(channel, key=lambda word: word[1]) for channel in sound.channels] if apart else [sound.words]
        return {
            "metadata": {
                "transaction_key": "deprecated",
                "request_id": REQUEST_ID,
                "sha256": "0" * 64,
                "created": "2026-11-21T10:00:00.000Z",
                "duration": sound.duration_s,
                "channels": len(heard),
                "models": ["30089e05-99d1-4376-b32e-c263170674af"],
                "model_info": {},
            },
            "results": {"channels": [_channel(words, query) for words in heard]},
        }


def _channel(heard, query):
    words = [
        {"word": word.lower().strip(",.?"), "start": start, "end": end, "confidence": 0.98, "punctuated_word": word}
        | ({"speaker": speaker, "speaker_confidence": 0.7} if query.get("diarize") == "true" else {})
        for word, start, end, speaker in heard
    ]
    text = " ".join(word for word, *_ in heard)
    channel = {"alternatives": [{"transcript": text, "confidence": 0.99 if words else 0.0, "words": words}]}
    if query.get("detect_language") == "true":
        channel |= {"detected_language": "en", "language_confidence": 0.99}
    return channel


def _refused(status, code, message):
    return web.json_response({"err_code": code, "err_msg": message, "request_id": REQUEST_ID}, status=status)
