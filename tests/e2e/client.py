"""The API as a customer's program calls it: plain HTTP, and retries where a client of the contract would retry."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from tests.conformance import Exchange, check

RETRY_S = 0.1
DEADLINE_S = 90.0


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code; the envelope around it is checked on the way (A4)."""
        error = self.json["error"]
        assert error["code"] == error["type"]
        assert error["message"]
        assert error["request_id"] == self.headers["x-request-id"]
        return error["code"]


class Client:
    """HTTP with one credential. A `patient` client repeats what met a server error or no answer, as devices do."""

    def __init__(self, session: aiohttp.ClientSession, base: str, credential: str, *, patient: bool = False) -> None:
        self._session, self._base, self._patient = session, base, patient
        self._headers = {"Authorization": f"Bearer {credential}"}
        self.retries = 0

    async def get(self, path: str, expect: int = 200) -> Any:
        return self._checked(await self.call("GET", path), expect)

    async def post(self, path: str, body: Any, expect: int = 200) -> Any:
        return self._checked(await self.call("POST", path, body), expect)

    async def put(self, path: str, body: Any, expect: int = 200) -> Any:
        return self._checked(await self.call("PUT", path, body), expect)

    async def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Call the API."""
        data = None if body is None else json.dumps(body).encode()
        return await self.request(method, self._base + path, data, {"Content-Type": "application/json", **self._headers})

    async def store(self, url: str, data: bytes, headers: dict[str, str] | None = None) -> Answer:
        """PUT bytes to a URL that carries its own credential."""
        return await self.request("PUT", url, data, headers or {})

    async def request(self, method: str, url: str, data: Any, headers: dict[str, str]) -> Answer:
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                answer = await self.once(method, url, data, headers)
                if answer.status < 500 or not self._patient or time.monotonic() > until:
                    return answer
            except (aiohttp.ClientError, TimeoutError):
                if not self._patient or time.monotonic() > until:
                    raise
            self.retries += 1
            await asyncio.sleep(RETRY_S)  # what the client does between two tries

    async def once(self, method: str, url: str, data: Any, headers: dict[str, str]) -> Answer:
        """Make a request and do not repeat it, however patient."""
        async with self._session.request(method, url, data=data, headers=headers, allow_redirects=False) as answer:
            body = await answer.read()
            if url.startswith(self._base):  # the object store answers in its own way
                check(Exchange(method, url, answer.status, list(answer.headers.items()), body))
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)

    def _checked(self, answer: Answer, expect: int) -> Any:
        assert answer.status == expect, (answer.status, answer.body)
        assert answer.headers["x-request-id"]
        return answer.json


class Project:
    """What a customer does in a project of its own."""

    def __init__(self, client: Client, project_id: str) -> None:
        self.client, self.id = client, project_id
        self._end_user_id = ""

    async def open(self, *, streaming: bool = True, **fields: Any) -> dict[str, Any]:
        """Open a recording."""
        if not self._end_user_id:
            self._end_user_id = (await self.client.post("/v1/end-users", {"name": "Someone"}, expect=201))["id"]
        body = {"end_user_id": self._end_user_id, "streaming": streaming, **fields}
        return await self.client.post("/v1/recordings", body, expect=201)

    async def put_chunk(self, recording: dict[str, Any], number: int, data: bytes) -> Answer:
        """PUT one chunk by the recording's template."""
        url = recording["chunk_upload_url_template"].replace("{chunk_number}", str(number))
        return await self.client.store(url, data, {"Content-Type": "audio/ogg"})

    async def put_half(self, recording: dict[str, Any], number: int, data: bytes) -> tuple["asyncio.Task[Answer]", asyncio.Event]:
        """Send half of a chunk; return the request under way, and what lets it go on."""
        half_sent, go_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield data[: len(data) // 2]
            half_sent.set()
            await go_on.wait()
            yield data[len(data) // 2 :]

        url = recording["chunk_upload_url_template"].replace("{chunk_number}", str(number))
        sending = asyncio.create_task(self.client.once("PUT", url, slowly(), {"Content-Length": str(len(data))}))
        await half_sent.wait()
        return sending, go_on

    async def put_chunks(self, recording: dict[str, Any], chunks: dict[int, bytes]) -> None:
        """PUT chunks in the order of the mapping; each must be acknowledged with its size."""
        for number, data in chunks.items():
            answer = await self.put_chunk(recording, number, data)
            assert answer.status == 200, (number, answer.body)
            stored = {"recording_id": recording["id"], "chunk_number": number, "file_size_bytes": len(data)}
            assert answer.json == stored

    async def finalize(self, recording_id: str, total_chunks: int, duration_ms: int = 1000, **fields: Any) -> Answer:
        """Finalize, whatever the answer."""
        body = {"total_chunks": total_chunks, "final_duration_ms": duration_ms, **fields}
        return await self.client.call("POST", f"/v1/recordings/{recording_id}/finalize", body)

    async def stream(self, chunks: list[bytes], **fields: Any) -> str:
        """Open, upload chunk by chunk and finalize a recording; its id."""
        recording = await self.open()
        await self.put_chunks(recording, dict(enumerate(chunks, 1)))
        answer = await self.finalize(recording["id"], len(chunks), **fields)
        assert answer.status == 200, answer.body
        return recording["id"]

    async def offer(self, recording_id: str, **fields: Any) -> dict[str, Any]:
        """Ask for an upload URL."""
        return await self.client.post(f"/v1/recordings/{recording_id}/upload-url", fields)

    async def put_file(self, recording_id: str, data: bytes, **fields: Any) -> dict[str, Any]:
        """Store a whole file past the API."""
        offer = await self.offer(recording_id, **fields)
        answer = await self.client.store(offer["upload_url"], data, offer["headers"])
        assert answer.status == 200, answer.body
        return offer

    async def complete(self, recording_id: str, **fields: Any) -> Answer:
        """Say that the file is stored."""
        return await self.client.call("POST", f"/v1/recordings/{recording_id}/upload-complete", fields)

    async def upload(self, data: bytes, **fields: Any) -> str:
        """Open, upload whole and complete a recording; its id."""
        recording = await self.open(streaming=False)
        await self.put_file(recording["id"], data, file_size_bytes=len(data), **fields)
        answer = await self.complete(recording["id"])
        assert answer.status == 200, answer.body
        return recording["id"]

    async def get(self, recording_id: str) -> dict[str, Any]:
        """Read a recording."""
        return await self.client.get(f"/v1/recordings/{recording_id}")

    async def transcription(self, transcription_id: str) -> dict[str, Any]:
        """Read a transcription with its text."""
        return await self.client.get(f"/v1/transcriptions/{transcription_id}")

    async def configure(self, **value: Any) -> None:
        """Change the project's processing."""
        await self.client.put(f"/v1/projects/{self.id}/config/processing", value)

    async def endpoint(self, url: str, *events: str) -> dict[str, Any]:
        """Register a webhook endpoint; the answer holds its secret."""
        return await self.client.post("/v1/webhook-endpoints", {"url": url, "events": list(events) or ["*"]}, expect=201)


def md5_of(chunks: list[bytes]) -> str:
    """The MD5 that a client declares at finalize."""
    return hashlib.md5(b"".join(chunks)).hexdigest()
