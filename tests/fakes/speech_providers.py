"""Speech providers as their API references describe them, on loopback; what they are asked is checked field by field."""

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

KEY = "provider-key-for-tests"
SPOKEN = (
    ("Hello,", 0.5, 0.9, 0),
    ("who", 1.0, 1.2, 0),
    ("speaks?", 1.2, 1.6, 0),
    ("Good", 4.0, 4.3, 1),
    ("morning.", 4.3, 4.9, 1),
)
"""What every one of them hears: word, start and end in seconds, speaker."""
DURATION_S = 5.5


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    json: dict | None = None
    form: dict = field(default_factory=dict)


class FakeProvider:
    """Answers as `routes` say; before that it goes through `troubles`, one a request."""

    def __init__(self):
        self.asked: list[Asked] = []
        self.troubles: list = []
        self.url = ""

    def routes(self):
        raise NotImplementedError

    def authorized(self, request):
        raise NotImplementedError

    @asynccontextmanager
    async def running(self, port=0):
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes([web.route(method, path, self._guarded(handler)) for method, path, handler in self.routes()])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def _guarded(self, handler):
        async def answer(request):
            asked = await _asked(request)
            self.asked.append(asked)
            if self.troubles:
                trouble = self.troubles.pop(0)
                return await trouble(request)
            if not self.authorized(request):
                return web.json_response({"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials."}, status=401)
            return await handler(request, asked)

        return answer


async def _asked(request):
    asked = Asked(request.method, request.path, dict(request.query), dict(request.headers))
    if request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            content = await part.read()
            asked.form[part.name] = (
                (part.filename, part.headers.get("Content-Type"), content) if part.filename else content.decode()
            )
    else:
        asked.body = await request.read()
        if request.content_type == "application/json" and asked.body:
            asked.json = await request.json()
    return asked


class FakeDeepgram(FakeProvider):
    """`POST /v1/listen`; where a callback is asked for, the answer goes there: see `called_back`."""

    def __init__(self):
        super().__init__()
        self.orders = []

    def routes(self):
        return [("POST", "/v1/listen", self.listen)]

    def authorized(self, request):
        return request.headers.get("Authorization") == f"Token {KEY}"

    async def listen(self, _request, asked):
        if "callback" not in asked.query:
            return web.json_response(self.answer(asked.query))
        self.orders.append(asked.query)
        await self.before_accepting()
        return web.json_response({"request_id": f"0b8e7a3c-1d2f-4e5a-9b6c-{len(self.orders):012d}"})

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

    def answer(self, query):
        words = [
            {"word": word.lower().strip(",.?"), "start": start, "end": end, "confidence": 0.98, "punctuated_word": word}
            | ({"speaker": speaker, "speaker_confidence": 0.7} if query.get("diarize") == "true" else {})
            for word, start, end, speaker in SPOKEN
        ]
        text = " ".join(word for word, *_ in SPOKEN)
        channel = {"alternatives": [{"transcript": text, "confidence": 0.99, "words": words}]}
        if query.get("detect_language") == "true":
            channel |= {"detected_language": "en", "language_confidence": 0.99}
        return {
            "metadata": {
                "transaction_key": "deprecated",
                "request_id": "0b8e7a3c-1d2f-4e5a-9b6c-7d8e9f0a1b2c",
                "sha256": "0" * 64,
                "created": "2026-11-21T10:00:00.000Z",
                "duration": DURATION_S,
                "channels": 1,
                "models": ["30089e05-99d1-4376-b32e-c263170674af"],
                "model_info": {},
            },
            "results": {"channels": [channel]},
        }


class FakeAssemblyAI(FakeProvider):
    """`/v2/upload` and `/v2/transcript`; a job is queued, then processed, then completed, one step a look."""

    def __init__(self):
        super().__init__()
        self.jobs = {}
        self.numbers = itertools.count(1)
        self.fault = None
        self.deleted = []

    def routes(self):
        return [
            ("POST", "/v2/upload", self.upload),
            ("POST", "/v2/transcript", self.order),
            ("GET", "/v2/transcript", self.listing),
            ("GET", "/v2/transcript/{job_id}", self.look),
            ("DELETE", "/v2/transcript/{job_id}", self.delete),
        ]

    def authorized(self, request):
        return request.headers.get("Authorization") == KEY

    async def upload(self, _request, asked):
        return web.json_response({"upload_url": f"{self.url}/upload/{len(asked.body)}-{next(self.numbers)}"})

    async def order(self, _request, asked):
        job_id = f"00000000-0000-4000-8000-{next(self.numbers):012d}"
        self.jobs[job_id] = {"asked": asked.json, "looks": 0}
        return web.json_response(self._job(job_id, "queued"))

    async def listing(self, _request, _asked):
        newest = [
            self._job(job_id, "queued") | {"created": "2026-11-21T10:00:00", "resource_url": f"{self.url}/v2/transcript/{job_id}"}
            for job_id in reversed(self.jobs)
        ]
        return web.json_response({"page_details": {"limit": 200, "result_count": len(newest)}, "transcripts": newest})

    async def look(self, request, _asked):
        job_id = request.match_info["job_id"]
        if job_id not in self.jobs:
            return web.json_response({"error": "Transcript lookup error, transcript id not found"}, status=400)
        job = self.jobs[job_id]
        job["looks"] += 1
        status = ["queued", "processing", "completed"][min(job["looks"], 3) - 1]
        if status == "completed" and self.fault:
            return web.json_response(self._job(job_id, "error") | {"error": self.fault})
        return web.json_response(self._job(job_id, status) | (self._heard(job["asked"]) if status == "completed" else {}))

    async def delete(self, request, _asked):
        job_id = request.match_info["job_id"]
        if job_id not in self.jobs:
            return web.json_response({"error": "Transcript lookup error, transcript id not found"}, status=400)
        deleted = self._job(job_id, "completed") | {"audio_url": "http://deleted_by_user", "text": "Deleted by user."}
        del self.jobs[job_id]
        self.deleted.append(job_id)
        return web.json_response(deleted)

    def _job(self, job_id, status):
        return {"id": job_id, "status": status, "audio_url": self.jobs[job_id]["asked"]["audio_url"]}

    def _heard(self, asked):
        labels = asked.get("speaker_labels")
        words = [
            {
                "text": word,
                "start": int(start * 1000),
                "end": int(end * 1000),
                "confidence": 0.97,
                "speaker": "AB"[who] if labels else None,
            }
            for word, start, end, who in SPOKEN
        ]
        text = " ".join(word for word, *_ in SPOKEN)
        language = asked.get("language_code", "en")
        return {"text": text, "words": words, "confidence": 0.97, "audio_duration": 5, "language_code": language}


class FakeElevenLabs(FakeProvider):
    """`POST /v1/speech-to-text`, and its transcripts, which it keeps until they are deleted."""

    def __init__(self):
        super().__init__()
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
        return request.headers.get("xi-api-key") == KEY

    async def convert(self, _request, asked):
        transcription_id = f"tr_{next(self.numbers)}"
        if asked.form.get("webhook") == "true":
            self.kept[transcription_id] = (2, asked.form)
            accepted = {"message": "Request accepted", "request_id": "rq_1", "transcription_id": transcription_id}
            return web.json_response(accepted, status=202)
        self.kept[transcription_id] = (0, asked.form)
        return web.json_response(self.answer(asked.form) | {"transcription_id": transcription_id})

    async def transcript(self, request, _asked):
        transcription_id = request.match_info["transcription_id"]
        looks, form = self.kept.get(transcription_id, (0, None))
        if form is None:
            return self._not_found()
        if looks:
            self.kept[transcription_id] = (looks - 1, form)
            return self._not_found()
        return web.json_response(self.answer(form) | {"transcription_id": transcription_id})

    async def delete(self, request, _asked):
        transcription_id = request.match_info["transcription_id"]
        if transcription_id not in self.kept:
            return self._not_found()
        del self.kept[transcription_id]
        self.deleted.append(transcription_id)
        return web.json_response({"message": "Delete completed successfully."})

    def _not_found(self):
        return web.json_response({"detail": {"status": "not_found", "message": "Transcript not found"}}, status=404)

    def answer(self, form):
        words = []
        for number, (word, start, end, who) in enumerate(SPOKEN):
            speaker = f"speaker_{who}" if form.get("diarize") == "true" else None
            if number:
                words.append(
                    {
                        "text": " ",
                        "start": words[-1]["end"],
                        "end": start,
                        "type": "spacing",
                        "logprob": 0.0,
                        "speaker_id": speaker,
                    }
                )
            words.append({"text": word, "start": start, "end": end, "type": "word", "logprob": -0.02, "speaker_id": speaker})
        return {
            "language_code": "eng",
            "language_probability": 0.99,
            "text": " ".join(word for word, *_ in SPOKEN),
            "words": words,
            "transcription_id": "tr_1",
            "audio_duration_secs": DURATION_S,
        }


def status(code, body=None, **headers):
    """Return a trouble: an answer of this status."""

    async def answer(_request):
        return web.json_response(
            body or {"error": "no"}, status=code, headers={name.replace("_", "-"): str(value) for name, value in headers.items()}
        )

    return answer


async def not_json(_request):
    """Answer as a proxy in between does."""
    return web.Response(text="<html>bad gateway</html>", content_type="text/html")


async def malformed(_request):
    """Answer JSON of another form."""
    return web.json_response({"results": [], "id": 5, "words": "none"})


async def cut_off(request):
    """Begin an answer and close the connection in the middle of it."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"metadata": {')
    request.transport.abort()
    return response


async def silent(_request):
    """Take the request and never answer."""
    await asyncio.sleep(3600)
