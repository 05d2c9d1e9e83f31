"""Two projects and every kind of credential, and what each of them must be answered by each operation of the description."""

import asyncio
import re
import struct
from datetime import timedelta
from typing import Any

from shared.domain.caller import SCOPES
from shared.domain.clock import now, wire_time

MISSING = "01ARZ3NDEKTSV4RRFFQ69G5FAV"  # the end of an id that nothing has
SILENCE = (
    b"RIFF\x24\x7d\x00\x00WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    + b"data\x00\x7d\x00\x00"
    + bytes(32000)
)
_IDS = re.compile(r"[a-z]+_[0-9A-Z]{26}")
_STREAM = 3.0

BODIES: dict[str, Any] = {
    "chunk_offer_urls": {"from": 1, "count": 1},
    "config_change": {},
    "device_bind": {"end_user_id": "{end_user_id}"},
    "device_change": {"name": "n"},
    "device_command_create": {"type": "start_recording"},
    "device_register": {"serial_number": "S-2", "model": "bota_pin"},
    "download_of_media": {"media_id": f"med_{MISSING}"},
    "end_user_create": {"name": "n"},
    "endpoint_change": {"description": "d"},
    "endpoint_create": {"url": "https://customer.example/hook", "events": ["*"]},
    "key_create": {},
    "organization_create": {"name": "o"},
    "project_create": {"organization_id": "{organization_id}", "name": "p"},
    "provider_key_store": {"api_key": "k"},
    "recording_create": {"end_user_id": "{end_user_id}"},
    "recording_finalize": {"total_chunks": 1, "final_duration_ms": 1},
    "transcription_create": {"recording_id": "{recording_id}"},
}
"""A good body for each operation that needs one; `{…}` is the id of the world's thing."""


class World:
    """A project with one of everything, strangers to it, and the credentials of all of them."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.ids: dict[str, str] = {}
        self.credentials: dict[str, str] = {}

    async def open(self) -> "World":
        api = self.api
        organization = await api.admin("POST", "/organizations", {"name": "Ours"})
        self.project = await api.new_project(organization["id"])
        theirs = await api.admin("POST", "/organizations", {"name": "Theirs"})
        own = await api.admin("POST", f"/projects/{self.project}/api-keys", {})
        revoked = await api.admin("POST", f"/projects/{self.project}/api-keys", {})
        soon = wire_time(now() + timedelta(seconds=1))
        expiring = await api.new_key(self.project, expires_at=soon)
        self.credentials = {
            "own": own["secret"],
            "revoked": revoked["secret"],
            "expired": expiring,
            "other project": await api.new_key(await api.new_project(theirs["id"])),
            "other mode": await api.new_key(self.project, mode="test"),
        }
        await api.admin("DELETE", f"/projects/{self.project}/api-keys/{revoked['id']}")
        self.ids = {"project_id": self.project, "organization_id": organization["id"], "key_id": own["id"]}
        async with asyncio.timeout(10):
            while (await api.call("GET", "/recordings", secret=expiring)).status_code != 401:
                await asyncio.sleep(0.05)
        return self

    async def furnish(self) -> "World":
        """Make one of everything anew."""
        user = await self.made("POST", "/end-users", {"name": "Jo"})
        device, _ = await self.bound("S-ours", user["id"])
        _, self.credentials["another device's token"] = await self.bound("S-another", user["id"])
        recording = await self.made("POST", "/recordings", {"end_user_id": user["id"], "streaming": True})
        whole = await self.made("POST", "/recordings", {"end_user_id": user["id"]})
        offer = await self.made("POST", f"/recordings/{whole['id']}/upload-url", {})
        endpoint = await self.made("POST", "/webhook-endpoints", BODIES["endpoint_create"])
        delivery = await self.made("POST", f"/webhook-endpoints/{endpoint['id']}/test", {})
        command = await self.made("POST", f"/devices/{device}/commands", BODIES["device_command_create"])
        self.credentials["another recording's upload token"] = offer["upload_token"]
        another = await self.made("POST", "/recordings", {"end_user_id": user["id"], "streaming": True})
        self.other_template = another["chunk_upload_url_template"]
        self.ids |= {
            "command_id": command["id"],
            "delivery_id": delivery["id"],
            "device_id": device,
            "end_user_id": user["id"],
            "endpoint_id": endpoint["id"],
            "recording_id": recording["id"],
            "transcription_id": await self.transcribed(user["id"]),
            "upload_id": recording["id"],
        }
        return self

    async def made(self, method: str, path: str, body: Any) -> Any:
        return await self.api.ok(method, path, body, secret=self.credentials["own"])

    async def transcribed(self, end_user_id: str) -> str:
        """Upload a second of silence through the API and ask for its transcription."""
        recording = await self.made("POST", "/recordings", {"end_user_id": end_user_id})
        relay = f"/recordings/{recording['id']}/upload-relay"
        await self.api.ok("POST", relay, SILENCE, secret=self.credentials["own"], headers={"Content-Type": "audio/wav"})
        return (await self.made("POST", f"/recordings/{recording['id']}/transcribe", {}))["id"]

    async def bound(self, serial: str, end_user_id: str) -> tuple[str, str]:
        device = await self.made("POST", "/devices", {"serial_number": f"{serial}-{now().timestamp()}", "model": "bota_pin"})
        found = await self.made("POST", f"/devices/{device['id']}/bind", {"end_user_id": end_user_id})
        return device["id"], found["device_token"]

    def path(self, template: str, ids: dict[str, str]) -> str:
        fixed = {"section": "upload", "chunk_number": "1", "seq": "0", "provider": "deepgram", "asset_name": "start.js"}
        return template.format_map(fixed | ids)

    def body(self, operation_id: str) -> Any:
        """The body that the operation takes, by the longest ending of its id that has one."""
        found = max((name for name in BODIES if operation_id.removesuffix("_alias").endswith(name)), key=len, default=None)
        if found is None:
            return {}
        return {key: value.format_map(self.ids) if isinstance(value, str) else value for key, value in BODIES[found].items()}

    def missing(self) -> dict[str, str]:
        """The same ids, of things that are not there."""
        return {name: value.rpartition("_")[0] + "_" + MISSING for name, value in self.ids.items()}


async def ask(world: World, operation: tuple[str, str, Any], credential: str, ids: dict[str, str]) -> Any:
    """Call the operation on the things of `ids` with the credential, or none."""
    method, template, described = operation
    url = world.api.url + world.path(template, ids)
    content = described.get("requestBody", {}).get("content", {})
    body = world.body(described["operationId"]) if "application/json" in content else b"x" if content else None
    if ids is not world.ids and isinstance(body, dict):
        body = {key: _absent(value, world) for key, value in body.items()}
    query = {"params": {"format": "txt"}} if template.endswith("/export") else {}
    return await world.api.call(method, url, body, secret=credential, timeout=_STREAM, **query)


def _absent(value: Any, world: World) -> Any:
    names = [name for name, known in world.ids.items() if known == value]
    return world.missing()[names[0]] if names else value


def anonymous(response: Any) -> tuple[int, str]:
    """Status and body with every id as `ID`: what remains tells whether two things look the same from outside."""
    return response.status_code, _IDS.sub("ID", response.text)


def all_scopes_but(scope: str) -> list[str]:
    return [other for other in SCOPES if other != scope]
