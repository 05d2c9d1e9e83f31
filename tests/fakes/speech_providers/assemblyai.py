"""A service that behaves as AssemblyAI's API reference says."""

import itertools

from aiohttp import web

from tests.fakes.speech_providers.server import FakeProvider
from tests.fakes.speech_providers.sounds import THE_SAME, AudioAway, AudioTooShort, CorruptAudio

NOTHING_SAID = "language_detection cannot be performed on files with no spoken audio."
CORRUPT = "Transcoding failed. File does not appear to contain audio. File type is text/plain (ASCII text)."


class FakeAssemblyAI(FakeProvider):
    """`/v2/upload` and `/v2/transcript`; a job is queued, then processed, then completed, one step a look."""

    def __init__(self, **given):
        super().__init__(**given)
        self.jobs, self.uploads = {}, {}
        self.numbers = itertools.count(1)
        self.fault = None
        self.deleted, self.erased = [], {}

    def routes(self):
        return [
            ("POST", "/v2/upload", self.upload),
            ("POST", "/v2/transcript", self.order),
            ("GET", "/v2/transcript", self.listing),
            ("GET", "/v2/transcript/{job_id}", self.look),
            ("DELETE", "/v2/transcript/{job_id}", self.delete),
        ]

    def authorized(self, request):
        return request.headers.get("Authorization") == self.key

    def unauthorized(self):
        return web.json_response({"error": "Authentication error, API token missing/invalid"}, status=401)

    async def upload(self, _request, asked):
        url = f"{self.url}/upload/{len(asked.body)}-{next(self.numbers)}"
        self.uploads[url] = asked.body
        return web.json_response({"upload_url": url})

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
        if job_id in self.erased:
            return web.json_response(self.erased[job_id])
        if job_id not in self.jobs:
            return _not_found()
        job = self.jobs[job_id]
        job["looks"] += 1
        status = ["queued", "processing", "completed"][min(job["looks"], 3) - 1]
        if status != "completed":
            return web.json_response(self._job(job_id, status))
        return web.json_response(self._job(job_id, status) | await self._outcome(job["asked"]))

    async def delete(self, request, _asked):
        job_id = request.match_info["job_id"]
        if job_id not in self.jobs:
            return _not_found()
        deleted = self._job(job_id, "completed") | {"audio_url": "http://deleted_by_user", "text": "Deleted by user."}
        del self.jobs[job_id]
        self.deleted.append(job_id)
        self.erased[job_id] = deleted
        return web.json_response(deleted)

    def _job(self, job_id, status):
        return {"id": job_id, "status": status, "audio_url": self.jobs[job_id]["asked"]["audio_url"]}

    async def _outcome(self, asked):
        if self.fault:
            return {"status": "error", "error": self.fault}
        url = asked["audio_url"]
        try:
            sound = await self.ears(self.uploads.get(url), url)
        except CorruptAudio:
            return {"status": "error", "error": CORRUPT}
        except AudioTooShort:
            return {"status": "error", "error": "Audio duration is too short."}
        except AudioAway:
            return {"status": "error", "error": f"Download error, unable to download {url}. Please make sure the file exists."}
        if asked.get("language_detection") and not sound.words:
            return {"status": "error", "error": NOTHING_SAID}
        return self.heard(asked, sound)

    def heard(self, asked, sound=THE_SAME):
        """Return what a completed job says of this sound."""
        labels, apart = asked.get("speaker_labels"), asked.get("multichannel")
        words = [
            {"text": word, "start": int(start * 1000), "end": int(end * 1000), "confidence": 0.97}
            | {"speaker": "AB"[who] if labels else str(number) if apart else None}
            | ({"channel": str(number)} if apart else {})
            for number, channel in enumerate(sound.channels, 1)
            for word, start, end, who in channel
        ]
        words.sort(key=lambda word: word["start"])
        return {
            "text": sound.text,
            "words": words,
            "confidence": 0.97,
            "audio_duration": int(sound.duration_s),
            "language_code": asked.get("language_code", "en"),
        }


def _not_found():
    return web.json_response({"error": "Transcript lookup error, transcript id not found"}, status=400)
