"""Things of every kind in every state, whose ids the program that tries the description out puts into its requests."""

import json

from tests.tenants import SILENCE

ENOUGH = 6  # of each kind: some of the requests delete what they name
LIKELY = 0.8  # else it makes an id up

PLACES = {
    "recording": ("path.recording_id", "path.upload_id", "body.recording_id"),
    "transcription": ("path.transcription_id",),
    "end_user": ("path.end_user_id", "body.end_user_id", "query.end_user_id"),
    "device": ("path.device_id", "body.device_id", "query.device_id"),
    "endpoint": ("path.endpoint_id",),
    "delivery": ("path.delivery_id",),
    "project": ("path.project_id",),
    "organization": ("path.organization_id",),
}
"""Where the id of what kind is wanted."""


class Things:
    """What a project has; `ids` by kind."""

    def __init__(self, api):
        self._api = api
        self.ids = {kind: [] for kind in PLACES}

    async def make(self):
        """Make enough of every kind."""
        for _ in range(ENOUGH):
            await self._one_of_each()
        self.ids["project"].append(self._api.project_id)
        project = await self._api.admin("GET", f"/projects/{self._api.project_id}")
        self.ids["organization"].append(project["organization_id"])
        return self

    async def _one_of_each(self):
        user = await self._made("end_user", "/end-users", {})
        device = await self._made("device", "/devices", {"serial_number": f"of-{user}", "model": "bota_pin"})
        await self._api.ok("POST", f"/devices/{device}/bind", {"end_user_id": user})
        await self._made("recording", "/recordings", {"end_user_id": user, "device_id": device})
        announced = await self._made("recording", "/recordings", {"end_user_id": user})
        await self._api.ok("POST", f"/recordings/{announced}/upload-url", {})
        await self._streamed(user, finalized=False)
        await self._streamed(user, finalized=True)
        uploaded = await self._uploaded(user)
        await self._made("transcription", f"/recordings/{uploaded}/transcribe", {})
        await self._uploaded(user)
        hook = {"url": "https://customer.example/hook", "events": ["recording.created"]}
        endpoint = await self._made("endpoint", "/webhooks", hook)
        await self._made("delivery", f"/webhooks/{endpoint}/test", {})

    async def _made(self, kind, path, body):
        return (await self._answer(kind, path, body))["id"]

    async def _answer(self, kind, path, body):
        made = await self._api.ok("POST", path, body)
        self.ids[kind].append(made["id"])
        return made

    async def _streamed(self, user, *, finalized):
        streamed = await self._answer("recording", "/recordings", {"end_user_id": user, "streaming": True})
        for number in (1, 2):
            url = streamed["chunk_upload_url_template"].format(chunk_number=number)
            await self._api.ok("PUT", url, SILENCE, secret="", headers={"Content-Type": "audio/wav"})
        if finalized:
            await self._api.ok("POST", f"/recordings/{streamed['id']}/finalize", {"total_chunks": 2, "final_duration_ms": 2000})

    async def _uploaded(self, user):
        uploaded = await self._made("recording", "/recordings", {"end_user_id": user})
        await self._api.ok("POST", f"/recordings/{uploaded}/upload-relay", SILENCE, headers={"Content-Type": "audio/wav"})
        return uploaded

    def dictionaries(self):
        """The ids as a part of the program's configuration."""
        return "\n".join(f"[dictionaries.{kind}]\nvalues = {json.dumps(ids)}" for kind, ids in self.ids.items())


def bindings():
    """Return where the program finds which of them, as a part of its configuration."""
    pairs = [(place, kind) for kind, places in PLACES.items() for place in places]
    return "\n".join(f'"{place}" = {{ dictionary = "{kind}", probability = {LIKELY} }}' for place, kind in pairs)
