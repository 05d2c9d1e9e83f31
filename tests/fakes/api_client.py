"""A client of the API for tests: a project of its own, and calls that say what they expect."""

import json
import secrets

import httpx

from tests.conformance import Exchange, check


class ApiClient:
    """Speaks to the API at `url` through `client`; `call` sends as the owner of `secret` unless told otherwise."""

    def __init__(self, client: httpx.AsyncClient, url: str, admin_token: str):
        self.client, self.url, self.admin_token = client, url, admin_token
        client.event_hooks = {"response": [self._conforms]}
        self.project_id = self.secret = self._someone = ""

    async def _conforms(self, response):
        """Hold every answer of the API, whatever test asked for it, to the description of the API."""
        url = str(response.request.url)
        if not url.startswith(self.url):
            return  # the object store answers in its own way
        streamed = response.headers.get("content-type", "").startswith("text/event-stream")
        body = None if streamed else await response.aread()
        check(Exchange(response.request.method, url, response.status_code, response.headers.multi_items(), body))

    async def open(self):
        """Make an organization, a project and a key."""
        organization = await self.admin("POST", "/organizations", {"name": "Acme"})
        self.project_id = await self.new_project(organization["id"])
        self.secret = await self.new_key(self.project_id)
        self._someone = ""
        return self

    async def someone(self):
        """Return the id of an end user of the project, always the same one."""
        if not self._someone:
            self._someone = await self.new_end_user()
        return self._someone

    async def new_end_user(self, **fields):
        return (await self.ok("POST", "/end-users", fields))["id"]

    async def new_device(self, **fields):
        """Return the id of a new device, not bound."""
        return (await self.ok("POST", "/devices", {"serial_number": secrets.token_hex(8), **fields}))["id"]

    async def bound_device(self, end_user_id=None):
        """Return a new device, bound to someone, as the answer to the binding shows it: with its token."""
        body = {"end_user_id": end_user_id or await self.someone()}
        return await self.ok("POST", f"/devices/{await self.new_device()}/bind", body)

    async def new_project(self, organization_id):
        return (await self.admin("POST", "/projects", {"organization_id": organization_id, "name": "Field"}))["id"]

    async def new_key(self, project_id, **body):
        return (await self.admin("POST", f"/projects/{project_id}/api-keys", body))["secret"]

    async def admin(self, method, path, body=None):
        response = await self.call(method, f"/admin{path}", body, secret=self.admin_token)
        assert response.is_success, response.text
        return response.json() if response.content else None

    async def call(self, method, path, body=None, *, secret=None, **options):
        """Send one request below /v1; `secret=""` sends no credential."""
        headers = dict(options.pop("headers", {}))
        credential = self.secret if secret is None else secret
        if credential:
            headers.setdefault("Authorization", f"Bearer {credential}")
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            options["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = path if path.startswith("http") else f"{self.url}/v1{path}"
        return await self.client.request(method, url, headers=headers, **options)

    async def ok(self, method, path, body=None, **options):
        """Send and return the JSON of a successful answer."""
        response = await self.call(method, path, body, **options)
        assert response.is_success, response.text
        return response.json()

    async def refused(self, method, path, body=None, **options):
        """Send and return status, code and the whole error of a refusal."""
        response = await self.call(method, path, body, **options)
        assert not response.is_success, response.text
        error = response.json()["error"]
        return response.status_code, error["code"], error

    async def store(self, upload_url, content):
        """PUT a whole file to its pre-signed URL, past the API."""
        async with httpx.AsyncClient() as plain:
            assert (await plain.put(upload_url, content=content)).is_success

    async def recording(self, **fields):
        return await self.ok("POST", "/recordings", {"end_user_id": await self.someone(), **fields})

    async def put_chunk(self, recording, number, content=b"a chunk"):
        """PUT by the template, as a device does: no header but the length."""
        url = recording["chunk_upload_url_template"].replace("{chunk_number}", str(number))
        return await self.client.put(url, content=content)

    async def streamed(self, chunks=3):
        """Return a streaming recording with its chunks stored."""
        recording = await self.recording(streaming=True)
        for number in range(1, chunks + 1):
            assert (await self.put_chunk(recording, number, b"chunk %d" % number)).is_success
        return recording
