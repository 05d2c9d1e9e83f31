"""Lists read page by page while rows come and go: what every walk has to show, whoever keeps the rows."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from shared.domain.clock import now
from shared.domain.delivery import Delivery, DeliveryStatus
from shared.domain.ids import new_id
from shared.domain.tenant import Mode
from tests.tenants import SILENCE

CHANGES = st.lists(st.sampled_from(["add", "add", "remove", "remove", "remove newest", "pass"]), max_size=4)


@dataclass(frozen=True)
class Walk:
    """How many rows there are, how many a page holds, whether the first is asked for by offset, what happens after each page."""

    rows: int
    limit: int
    by_offset: bool
    turns: list[list[str]]
    seed: int


WALKS = st.builds(
    Walk,
    rows=st.integers(0, 7),
    limit=st.integers(1, 4),
    by_offset=st.booleans(),
    turns=st.lists(CHANGES, max_size=5),
    seed=st.integers(0, 1 << 32),
)


class Rows:
    """One list, in a project of its own; `deliver` stores deliveries as the webhook stage does."""

    def __init__(self, api, listing, deliver=None):
        self.api, self.listing, self.present, self.ids = api, listing, [], {}
        self._deliver, self._count = deliver, 0

    async def open(self):
        self.ids["organization"] = (await self.api.admin("POST", "/organizations", {"name": "Acme"}))["id"]
        self.ids["project"] = await self.api.new_project(self.ids["organization"])
        self.secret = await self.api.new_key(self.ids["project"])
        self.ids["user"] = (await self.post("/end-users", {}))["id"]
        await self._furnish()
        return self

    async def _furnish(self):
        """Make what the list hangs on; some of that is a row of the list itself."""
        path = self.listing.path
        if "{device}" in path:
            self.ids["device"] = await _device(self)
        if "{endpoint}" in path:
            self.ids["endpoint"] = await _endpoint(self)
        if "{recording}" in path:
            self.ids["recording"] = await self.uploaded()
        if path == "/end-users":
            self.present = [self.ids["user"]]
        if path.startswith("/admin/projects?"):
            self.present = [self.ids["project"]]
        if self.listing.operation == "key_list":
            self.present = [await self.newest()]

    async def post(self, path, body):
        return await self.api.ok("POST", path, body, secret=self.secret)

    async def gone(self, method, path, body=None):
        answer = await self.api.call(method, path, body, secret=self.secret)
        assert answer.is_success, answer.text

    async def uploaded(self):
        """Return the id of a recording with audio."""
        recording = (await self.post("/recordings", {"end_user_id": self.ids["user"]}))["id"]
        relay, headers = f"/recordings/{recording}/upload-relay", {"Content-Type": "audio/wav"}
        await self.api.ok("POST", relay, SILENCE, secret=self.secret, headers=headers)
        return recording

    async def deliver(self, status):
        """Store a delivery of that status."""
        delivery = Delivery(
            id=new_id("whd"),
            event_id=new_id("evt"),
            event_type="recording.created",
            endpoint_id=self.ids["endpoint"],
            project_id=self.ids["project"],
            mode=Mode.LIVE,
            recording_id=new_id("rec"),
            occurred_at=now(),
            body=b"{}",
            status=status,
            next_attempt_at=None,
            created_at=now(),
            updated_at=now(),
        )
        await self._deliver(delivery)
        return delivery.id

    def next(self):
        self._count += 1
        return self._count

    async def add(self):
        self.present.append(await self.listing.add(self))

    async def remove(self, row_id):
        await self.listing.remove(self, row_id)
        self.present.remove(row_id)

    async def change(self, change, chance):
        if change == "add":
            await self.add()
        elif change.startswith("remove") and self.present and self.listing.remove is not None:
            await self.remove(max(self.present) if change == "remove newest" else chance.choice(self.present))

    async def page(self, limit, **place):
        path, _, query = self.listing.path.format_map(self.ids).partition("?")
        asked = [query, f"limit={limit}", *(f"{name}={value}" for name, value in place.items())]
        secret = self.api.admin_token if self.listing.of_operator else self.secret
        return await self.api.ok("GET", f"{path}?{'&'.join(filter(None, asked))}", secret=secret)

    async def newest(self):
        return (await self.page(1))["data"][0]["id"]


@dataclass(frozen=True)
class Listing:
    """A paged list: which operation shows it, how a row comes, and how one goes, if any does.

    One that is `shared` shows rows of other tests, too: older ones, which a walk does not go into.
    """

    operation: str
    path: str
    add: Callable[[Rows], Awaitable[str]]
    remove: Callable[[Rows, str], Awaitable[None]] | None = None
    of_operator: bool = False
    shared: bool = False


_ENDPOINT = {"url": "https://customer.example/hook", "events": ["*"]}


async def _recording(rows, **fields):
    return (await rows.post("/recordings", {"end_user_id": rows.ids["user"], **fields}))["id"]


async def _recording_of_device(rows):
    return await _recording(rows, device_id=rows.ids["device"])


async def _no_recording(rows, row_id):
    await rows.gone("DELETE", f"/recordings/{row_id}")


async def _end_user(rows):
    return (await rows.post("/end-users", {}))["id"]


async def _no_end_user(rows, row_id):
    await rows.gone("DELETE", f"/end-users/{row_id}")


async def _device(rows):
    return (await rows.post("/devices", {"serial_number": new_id("sn")}))["id"]


async def _bound(rows):
    device = await _device(rows)
    await rows.post(f"/devices/{device}/bind", {"end_user_id": rows.ids["user"]})
    return device


async def _unbound(rows, row_id):
    await rows.gone("POST", f"/devices/{row_id}/unbind", {})


async def _command(rows):
    return (await rows.post(f"/devices/{rows.ids['device']}/commands", {"type": "start_recording"}))["id"]


async def _no_command(rows, row_id):
    await rows.gone("DELETE", f"/devices/{rows.ids['device']}/commands/{row_id}")


async def _transcription(rows):
    return (await rows.post("/transcriptions", {"recording_id": await rows.uploaded()}))["id"]


async def _no_transcription(rows, row_id):
    shown = await rows.api.ok("GET", f"/transcriptions/{row_id}", secret=rows.secret)
    await rows.gone("DELETE", f"/recordings/{shown['recording_id']}")


async def _cancelled(rows, row_id):
    await rows.gone("POST", f"/transcriptions/{row_id}/cancel", {})


async def _another_transcription(rows):
    if rows.present:
        await _cancelled(rows, rows.present[-1])
    return (await rows.post(f"/recordings/{rows.ids['recording']}/transcribe", {}))["id"]


async def _endpoint(rows):
    return (await rows.post("/webhook-endpoints", _ENDPOINT))["id"]


async def _no_endpoint(rows, row_id):
    await rows.gone("DELETE", f"/webhook-endpoints/{row_id}")


async def _delivery(rows):
    return await rows.deliver(DeliveryStatus.SUCCEEDED)


async def _replayed(rows, row_id):
    await rows.gone("POST", f"/webhook-deliveries/{row_id}/replay", {})


async def _change(rows):
    secret = rows.api.admin_token if rows.listing.of_operator else rows.secret
    path = rows.listing.path.format_map(rows.ids).removesuffix("/history")
    await rows.api.ok("PUT", path, {"daily_data_limit_mb": rows.next()}, secret=secret)
    return await rows.newest()


async def _organization(rows):
    return (await rows.api.admin("POST", "/organizations", {"name": "o"}))["id"]


async def _project(rows):
    return await rows.api.new_project(rows.ids["organization"])


async def _key(rows):
    return (await rows.api.admin("POST", f"/projects/{rows.ids['project']}/api-keys", {}))["id"]


LISTS = (
    Listing("recording_list", "/recordings", _recording, _no_recording),
    Listing("recording_list", "/recordings?end_user_id={user}", _recording, _no_recording),
    Listing("recording_list", "/recordings?device_id={device}&status=pending", _recording_of_device, _no_recording),
    Listing("end_user_list", "/end-users", _end_user, _no_end_user),
    Listing("device_list", "/devices", _device),
    Listing("device_list", "/devices?end_user_id={user}", _bound, _unbound),
    Listing("device_command_list", "/devices/{device}/commands", _command),
    Listing("device_command_list", "/devices/{device}/commands?status=pending", _command, _no_command),
    Listing("transcription_list", "/transcriptions", _transcription, _no_transcription),
    Listing("transcription_list", "/transcriptions?status=pending", _transcription, _cancelled),
    Listing("transcript_list_page_of_recording", "/recordings/{recording}/transcriptions", _another_transcription),
    Listing("endpoint_list", "/webhook-endpoints", _endpoint, _no_endpoint),
    Listing("endpoint_list_alias", "/webhooks", _endpoint, _no_endpoint),
    Listing("endpoint_delivery_list", "/webhook-endpoints/{endpoint}/deliveries", _delivery),
    Listing("endpoint_delivery_list_alias", "/webhooks/{endpoint}/deliveries?status=succeeded", _delivery, _replayed),
    Listing("project_config_history", "/projects/{project}/config/upload/history", _change),
    Listing("end_user_config_history", "/end-users/{user}/config/upload/history", _change),
    Listing("device_config_history", "/devices/{device}/config/upload/history", _change),
    Listing("organization_config_history", "/organizations/{organization}/config/upload/history", _change, of_operator=True),
    Listing("organization_list", "/admin/organizations", _organization, of_operator=True, shared=True),
    Listing("project_list", "/admin/projects", _project, of_operator=True, shared=True),
    Listing("project_list", "/admin/projects?organization_id={organization}", _project, of_operator=True),
    Listing("key_list", "/admin/projects/{project}/api-keys", _key, of_operator=True),
)
"""Every paged list, some with what they may be filtered by."""


async def check_walk(rows, walk):
    """Walk the list while it changes: no row comes twice, and each that stood throughout comes, in order.

    By cursor, whether the first page was asked for by one or by offset. A page by offset is what stands there at that moment;
    when nothing changes, pages by offset show the same list.
    """
    chance, turns = random.Random(walk.seed), list(walk.turns)
    for _ in range(walk.rows):
        await rows.add()
    stood, seen, cursors, more = set(rows.present), [], [], True
    place = {"offset": 0} if walk.by_offset else {}
    while more:
        page = await rows.page(walk.limit, **place)
        seen += _checked(rows, page, walk, cursors)
        place = {"cursor": page["next_cursor"]}
        more = page["has_more"] and not _is_past(rows, page)
        for change in turns.pop(0) if turns else ():
            await rows.change(change, chance)
            stood &= set(rows.present)
    assert seen == sorted(set(seen), reverse=True)
    assert stood <= set(seen)
    await _check_offsets(rows, walk.limit)


def _checked(rows, page, walk, cursors):
    """Return the ids on a page, which keeps what every page promises."""
    found = [row["id"] for row in page["data"]]
    cursor = page["next_cursor"]
    assert len(found) <= walk.limit
    assert page["has_more"] is (cursor is not None)
    assert cursor is None or cursor not in cursors
    assert found or not page["has_more"]
    cursors.append(cursor)
    assert rows.listing.shared or set(found) <= set(rows.present)  # nothing that was gone by then
    return found


def _is_past(rows, page):
    """Say whether the walk has come to what other tests left behind."""
    return rows.listing.shared and all(row["id"] < min(rows.present, default="~") for row in page["data"])


async def _check_offsets(rows, limit):
    standing = sorted(rows.present, reverse=True)
    for offset in range(0, len(standing) + 1, limit):
        page = await rows.page(limit, offset=offset)
        if not rows.listing.shared:
            assert [row["id"] for row in page["data"]] == standing[offset : offset + limit]
            assert page["has_more"] is (offset + limit < len(standing))
