"""Two projects with one of everything, and every kind of credential: the world in which the tenant matrix is asked."""

import asyncio
import struct
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.domain.caller import SCOPES
from shared.domain.clock import now, wire_time
from shared.domain.ids import new_ulid

MISSING = "01ARZ3NDEKTSV4RRFFQ69G5FAV"  # the end of an id that nothing has
SILENCE = (
    b"RIFF\x24\x7d\x00\x00WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    + b"data\x00\x7d\x00\x00"
    + bytes(32000)
)

BODIES: dict[str, Any] = {
    "chunk_offer_urls": {"from": 1, "count": 1},
    "config_change": {"streaming_enabled": True},
    "device_bind": {"end_user_id": "{end_user_id}"},
    "device_change": {"name": "n"},
    "device_command_create": {"type": "start_recording"},
    "device_register": {"serial_number": "{serial_number}", "model": "bota_pin"},
    "download_of_media": {"media_id": "{media_id}"},
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

NAMES = ("none", "malformed", "another scheme's", "an unknown key", "an unknown device token", "an unknown upload token")
UNKNOWN = (*NAMES, "a revoked key", "an expired key", "a revoked device token")
FOREIGN = ("another project's key", "the other mode's key", "another device's token", "another recording's upload token")


class World:
    """A project with one of everything, strangers to it, and the credentials of all of them, by name."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.ids: dict[str, str] = {}
        self.credentials: dict[str, str] = dict(zip(NAMES, _unknown(), strict=True))
        self._scoped: dict[str, str] = {}

    async def open(self) -> "World":
        """Make the projects, and the keys that last as long as the world."""
        api = self.api
        organization = await api.admin("POST", "/organizations", {"name": "Ours"})
        self.project = await api.new_project(organization["id"])
        theirs = await api.new_project((await api.admin("POST", "/organizations", {"name": "Theirs"}))["id"])
        revoked = await api.admin("POST", f"/projects/{self.project}/api-keys", {})
        expiring = await api.new_key(self.project, expires_at=wire_time(now() + timedelta(seconds=1)))
        self.credentials |= {
            "own key": await api.new_key(self.project),
            "a revoked key": revoked["secret"],
            "an expired key": expiring,
            "another project's key": await api.new_key(theirs),
            "the other mode's key": await api.new_key(self.project, mode="test"),
            "admin token": api.admin_token,
        }
        await api.admin("DELETE", f"/projects/{self.project}/api-keys/{revoked['id']}")
        their_key = (await api.admin("POST", f"/projects/{theirs}/api-keys", {}))["id"]
        self.ids = {"project_id": self.project, "organization_id": organization["id"]}
        self.crossed = {"key_id": their_key}
        self.used = False  # whether something was changed since one of everything was made
        async with asyncio.timeout(10):
            while (await api.call("GET", "/recordings", secret=expiring)).status_code != 401:
                await asyncio.sleep(0.05)
        return self

    async def furnish(self) -> "World":
        """Make one of everything anew, and one more command that another device has."""
        self.ids["serial_number"] = f"S-{new_ulid()}"
        user = await self.made("POST", "/end-users", {"external_id": new_ulid()})
        self.ids |= {"end_user_id": user["id"], "external_id": user["external_id"]}
        await self._add_devices()
        await self._add_recordings()
        if "endpoint_id" in self.ids:  # a project has so many at most
            await self.api.call("DELETE", f"/webhook-endpoints/{self.ids['endpoint_id']}", secret=self.credentials["own key"])
        endpoint = await self.made("POST", "/webhook-endpoints", BODIES["endpoint_create"])
        delivery = await self.made("POST", f"/webhook-endpoints/{endpoint['id']}/test", {})
        key = await self.api.admin("POST", f"/projects/{self.project}/api-keys", {})
        await self.made("PUT", "/provider-keys/assemblyai", {"api_key": "k"})
        self.ids |= {"endpoint_id": endpoint["id"], "delivery_id": delivery["id"], "key_id": key["id"]}
        self.used = False
        return self

    async def _add_devices(self) -> None:
        user = self.ids["end_user_id"]
        device, self.credentials["own device token"] = await self.bound(user)
        another, self.credentials["another device's token"] = await self.bound(user)
        freed, self.credentials["a revoked device token"] = await self.bound(user)
        await self.made("POST", f"/devices/{freed}/unbind", {})
        command, other = [
            await self.made("POST", f"/devices/{asked}/commands", BODIES["device_command_create"]) for asked in (device, another)
        ]
        self.ids |= {"device_id": device, "command_id": command["id"]}
        self.crossed["command_id"] = other["id"]

    async def _add_recordings(self) -> None:
        recording = await self.recording(streaming=True)
        whole, self.credentials["own upload token"] = await self.announced()
        _, self.credentials["another recording's upload token"] = await self.announced()
        self.template = recording["chunk_upload_url_template"]
        self.other_template = (await self.recording(streaming=True))["chunk_upload_url_template"]
        self.ids |= {"recording_id": recording["id"], "upload_id": whole["id"], "media_id": whole["media_id"]}
        uploaded = await self.uploaded()
        self.ids["transcription_id"] = (await self.made("POST", f"/recordings/{uploaded['id']}/transcribe", {}))["id"]

    async def made(self, method: str, path: str, body: Any) -> Any:
        """Return what the project's own key is answered."""
        return await self.api.ok(method, path, body, secret=self.credentials["own key"])

    async def recording(self, **fields: Any) -> Any:
        """Return a new recording of the world's device."""
        owners = {"end_user_id": self.ids["end_user_id"], "device_id": self.ids["device_id"]}
        return await self.made("POST", "/recordings", owners | fields)

    async def announced(self) -> tuple[Any, str]:
        """Return a recording that awaits a whole file, with its media's id, and the token that completes the upload."""
        recording = await self.recording()
        offer = await self.made("POST", f"/recordings/{recording['id']}/upload-url", {"content_type": "audio/wav"})
        await self.api.store(offer["upload_url"], SILENCE)
        return recording | {"media_id": offer["media_id"]}, offer["upload_token"]

    async def uploaded(self) -> Any:
        """Return a recording of a second of silence."""
        recording = await self.recording()
        path, headers = f"/recordings/{recording['id']}/upload-relay", {"Content-Type": "audio/wav"}
        return await self.api.ok("POST", path, SILENCE, secret=self.credentials["own key"], headers=headers)

    async def bound(self, end_user_id: str) -> tuple[str, str]:
        """Return a new device and its token."""
        device = await self.made("POST", "/devices", {"serial_number": new_ulid(), "model": "bota_pin"})
        return device["id"], (await self.made("POST", f"/devices/{device['id']}/bind", {"end_user_id": end_user_id}))[
            "device_token"
        ]

    async def all_scopes_but(self, scope: str) -> str:
        """Return a key that may do everything else."""
        if scope not in self._scoped:
            others = [other for other in SCOPES if other != scope]
            self._scoped[scope] = await self.api.new_key(self.project, scopes=others)
        return self._scoped[scope]


def missing(ids: Mapping[str, str]) -> dict[str, str]:
    """Return the same ids, of things that are not there."""
    return {name: f"{value.rpartition('_')[0]}_{MISSING}".lstrip("_") for name, value in ids.items()}


def _unknown() -> tuple[str, ...]:
    return ("", "nonsense", "Basic", *(f"{prefix}_{'x' * 40}" for prefix in ("sk_live", "dtok", "up")))
