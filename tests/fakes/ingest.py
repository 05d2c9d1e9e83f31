"""The API over memory: every store as a fake that keeps the promises of the real one, and a client to talk to it."""

import httpx
import msgspec

from services.ingest.join import Stores, joined, served
from services.ingest.settings import ApiSettings
from shared.domain.clock import now
from shared.domain.errors import AlreadyExists, TransientFailure
from shared.domain.recording import Intake, RecordingStatus, RecordingVersion
from shared.storage.reflection import in_line
from shared.telemetry.health import Health
from tests.fakes.aggregates import FakeAggregates
from tests.fakes.answers import FakeAnswers, FakeUploadTokens, FakeWindows
from tests.fakes.api_client import ApiClient
from tests.fakes.configs import FakeConfigs
from tests.fakes.devices import FakeCommands, FakeDevices, FakeEndUsers
from tests.fakes.event_log import FakeEventLog
from tests.fakes.objects import FakeObjects
from tests.fakes.provider_keys import FakeProviderKeys
from tests.fakes.provider_orders import FakeProviderOrders
from tests.fakes.webhook_stores import FakeDeliveries, FakeEndpoints

ADMIN_TOKEN = "admin-token-for-tests"
UNLIMITED = {"requests_per_second": 10**6, "requests_per_minute": 10**8, "failures_per_minute": 10**6}
"""Rates that no test meets by being fast; tests of limits set their own."""
API_SETTINGS = ApiSettings(
    public_url="http://api.test",
    admin_token=ADMIN_TOKEN,
    signing_secret="a signing secret for tests",
    max_chunk_bytes=1_000_000,
    **UNLIMITED,
)


def newest(documents, tenant, matching, before):
    """What a page is cut from: the tenant's, not deleted, that match, newest first."""
    mine = [item for item in documents if item.tenant == tenant and item.deleted_at is None]
    found = [item for item in mine if all(getattr(item, name) == value for name, value in matching.items())]
    return sorted((item for item in found if before is None or item.id < before), key=lambda item: item.id, reverse=True)


class FakeRecordings(FakeAggregates):
    def __init__(self):
        super().__init__("recordings")

    async def page(self, tenant, matching, limit, *, before=None, offset=0):
        self._check()
        return newest(self.documents.values(), tenant, matching, before)[offset : offset + limit]

    async def page_of_versions(self, tenant, matching, limit, *, before=None, offset=0):
        page = await self.page(tenant, matching, limit, before=before, offset=offset)
        return [RecordingVersion(id=recording.id, version=recording.version) for recording in page]

    async def those_of(self, tenant, versions):
        self._check()
        wanted = {one.id: one.version for one in versions}
        return [one for one in newest(self.documents.values(), tenant, {}, None) if wanted.get(one.id) == one.version]

    async def undeleted(self, tenant, recording_ids):
        self._check()
        return {one.id for one in newest(self.documents.values(), tenant, {}, None) if one.id in recording_ids}

    async def add(self, aggregate, *events):
        if aggregate.recording_uuid is not None and await self.twin_of(aggregate) is not None:
            raise AlreadyExists(aggregate.recording_uuid)
        return await super().add(aggregate, *events)

    async def twin_of(self, recording):
        self._check()
        names = ("tenant", "device_id", "recording_uuid", "recording_generation")
        same = {name: getattr(recording, name) for name in names}
        return next(iter(newest(self.documents.values(), recording.tenant, same, None)), None)

    async def by_media(self, tenant, media_id):
        self._check()
        mine = newest(self.documents.values(), tenant, {}, None)
        return next((item for item in mine if any(media.id == media_id for media in item.media)), None)

    async def intake(self, tenant, recording_id):
        found = await self.get(tenant, recording_id)
        return found and Intake(**{name: getattr(found, name) for name in Intake.__struct_fields__})

    async def begin_closing(self, tenant, recording_id, sight, mark, until):
        found = await self.get(tenant, recording_id)
        is_open = found and found.streaming and found.status is RecordingStatus.STREAMING and found.finalization is None
        if not is_open or any(getattr(found, name) != value for name, value in sight.items()):
            return None
        closing_by = tuple(dict.fromkeys((*found.closing_by, mark)))
        return self._marked(found, max(until, found.closing_until or until), closing_by)

    async def end_closing(self, tenant, recording_id, mark):
        found = await self.get(tenant, recording_id)
        if found is not None and mark in found.closing_by:
            others = tuple(other for other in found.closing_by if other != mark)
            self._marked(found, found.closing_until if others else None, others)

    async def void_closing(self, tenant, recording_id, until):
        if await self.outdate(tenant, recording_id, until):
            await self.unmark(tenant, recording_id, until)

    async def outdate(self, tenant, recording_id, until):
        found = await self.get(tenant, recording_id)
        if found is None or found.closing_until != until:
            return False
        self.documents[found.id] = msgspec.structs.replace(found, version=found.version + 1)
        return True

    async def unmark(self, tenant, recording_id, until):
        found = await self.get(tenant, recording_id)
        if found is not None and found.closing_until == until:
            self._marked(found, None, ())

    def _marked(self, found, until, marks):
        self.documents[found.id] = msgspec.structs.replace(found, closing_until=until, closing_by=marks)
        return self.documents[found.id]

    def _is_same(self, before, present):
        job_ids = {one.finalization and one.finalization.stitching_job_id for one in (before, present)}
        return len(job_ids) == 1 and set(before.closing_by) <= set(present.closing_by)

    async def manifest(self, tenant, recording_id):
        self._check()
        found = self.documents.get(recording_id)
        return self.unseen.get(recording_id, {}).get("manifest") if found is not None and found.tenant == tenant else None

    async def reflect(self, event):
        for refusal in (await self.reflect_all([event])).values():
            raise refusal

    async def reflect_all(self, events):
        refused = {}
        for event in events:
            recording = self.documents.get(event.recording_id)
            if recording is not None and (after := in_line(recording, [event], refused)) is not recording:
                await self.save(recording, after)
        return refused


class FakeTranscriptions(FakeAggregates):
    def __init__(self):
        super().__init__("transcriptions")

    async def add(self, aggregate, *events):
        same = self._of(aggregate.tenant, aggregate.recording_id)
        if any(item.active for item in same):
            raise AlreadyExists(aggregate.recording_id)
        return await super().add(aggregate, *events)

    async def start(self, transcription, event):
        try:
            await self.add(transcription, event)
        except AlreadyExists:
            return False
        return True

    async def ahead_of(self, waiting, limit):
        job, same = waiting.job, [item for item in self.documents.values() if item.project_id == waiting.project_id]
        there = [item.job for item in same if item.job.worker is None and item.job.lane is job.lane]
        waits = [other for other in there if other.available_at and other.available_at <= now()]
        return len([other for other in waits if (-other.priority, other.available_at) < (-job.priority, job.available_at)])

    async def newest_of(self, tenant, recording_id):
        return max(self._of(tenant, recording_id), key=lambda item: item.id, default=None)

    async def page(self, tenant, matching, limit, *, before=None, offset=0):
        self._check()
        return newest(self.documents.values(), tenant, matching, before)[offset : offset + limit]

    async def delete_of(self, tenant, recording_id):
        self._check()
        for item in self._of(tenant, recording_id):
            self.documents[item.id] = item.changed(active=False, job=item.job.stopped(), deleted_at=now())

    def _of(self, tenant, recording_id):
        mine = [item for item in self.documents.values() if item.tenant == tenant and item.recording_id == recording_id]
        return [item for item in mine if item.deleted_at is None]


class FakeTranscripts:
    def __init__(self):
        self.kept = {}

    async def get(self, tenant, transcription_id):
        return self.kept.get((tenant, transcription_id))

    async def texts(self, tenant, transcription_ids):
        return {one: self.kept[tenant, one].text for one in transcription_ids if (tenant, one) in self.kept}


class FakeRows:
    """Organizations, projects, keys and endpoints: rows by id."""

    def __init__(self):
        self.rows = {}
        self.lookups = 0

    async def add(self, row):
        if row.id in self.rows:
            raise AlreadyExists(row.id)
        self.rows[row.id] = row

    def _newest(self, found, limit, before, offset):
        rows = sorted((row for row in found if before is None or row.id < before), key=lambda row: row.id, reverse=True)
        return rows[offset : offset + limit]


class FakeOrganizations(FakeRows):
    async def get(self, row_id):
        return self.rows.get(row_id)

    async def page(self, limit, *, before=None, offset=0):
        return self._newest(self.rows.values(), limit, before, offset)


class FakeProjects(FakeRows):
    async def get(self, row_id):
        return self.rows.get(row_id)

    async def organization_of(self, project_id):
        found = self.rows.get(project_id)
        return found and found.organization_id

    async def page(self, organization_id, limit, *, before=None, offset=0):
        found = [row for row in self.rows.values() if organization_id in (None, row.organization_id)]
        return self._newest(found, limit, before, offset)


class FakeKeys(FakeRows):
    async def by_secret(self, secret_sha256):
        self.lookups += 1
        found = [key for key in self.rows.values() if key.secret_sha256 == secret_sha256 and key.revoked_at is None]
        return found[0] if found else None

    async def touch(self, key_id, at):
        self.rows[key_id] = msgspec.structs.replace(self.rows[key_id], last_used_at=at)

    async def page(self, project_id, limit, *, before=None, offset=0):
        return self._newest([key for key in self.rows.values() if key.project_id == project_id], limit, before, offset)

    async def reissue(self, key):
        present = self.rows[key.id]
        if present.revoked_at is not None:
            return None
        self.rows[key.id] = msgspec.structs.replace(present, secret_sha256=key.secret_sha256, hint=key.hint)
        return self.rows[key.id]

    async def revoke(self, project_id, key_id, at):
        key = self.rows.get(key_id)
        if key is None or key.project_id != project_id:
            return None
        self.rows[key_id] = msgspec.structs.replace(key, revoked_at=key.revoked_at or at)
        return self.rows[key_id]


class FakeRelay:
    def __init__(self):
        self.nudged = []

    def nudge(self, outbox, aggregate_id, events):
        self.nudged += [(outbox, aggregate_id, event) for event in events]


def fake_stores():
    return Stores(
        recordings=FakeRecordings(),
        transcriptions=FakeTranscriptions(),
        transcripts=FakeTranscripts(),
        objects=FakeObjects(),
        configs=FakeConfigs(),
        end_users=FakeEndUsers(),
        devices=FakeDevices(),
        commands=FakeCommands(),
        endpoints=FakeEndpoints(),
        deliveries=FakeDeliveries(),
        organizations=FakeOrganizations(),
        projects=FakeProjects(),
        keys=FakeKeys(),
        windows=FakeWindows(),
        answers=FakeAnswers(),
        upload_tokens=FakeUploadTokens(),
        provider_keys=FakeProviderKeys(),
        provider_orders=FakeProviderOrders(),
        relay=FakeRelay(),
        events=FakeEventLog(),
    )


class Api(ApiClient):
    """The whole HTTP application over `stores`, without a server."""

    def __init__(self, stores, settings=API_SETTINGS):
        self.stores, self.settings = stores, settings
        self.health = Health({})
        app = served(settings, joined(settings, stores, self.health, self._check))
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        super().__init__(httpx.AsyncClient(transport=transport), settings.public_url, settings.admin_token)

    async def _check(self):
        if getattr(self.stores.recordings, "down", False):
            raise TransientFailure("down")

    async def store(self, upload_url, content):
        """Store a whole file as a PUT to its pre-signed URL does."""
        self.stores.objects.take(upload_url.partition("?")[0].removeprefix("http://store.test/"), content)

    def events(self, aggregate_id):
        """Return the types of the events that wait in the outbox of an aggregate of the fakes."""
        outboxes = self.stores.recordings.outbox | self.stores.transcriptions.outbox
        return [event.type for event in outboxes.get(aggregate_id, ())]
