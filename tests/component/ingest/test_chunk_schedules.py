"""Any schedule of chunks, sent again, past the API, during finalizes and crashes, gives the right bytes or the right error.

Hypothesis draws what is sent and the seed by which one of all that is under way makes the next step; nothing else decides the
order, so a schedule that failed can be played again.
"""

import asyncio
import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest import finalize as finalizing
from services.ingest import manifests as manifests_of
from services.ingest import settle_chunk as settling
from services.ingest.bodies import FinalizeRecording
from services.ingest.chunk_bodies import ChunkBodies, ChunkBody
from services.ingest.finalize import Finalize
from services.ingest.manifests import Manifests
from services.ingest.outbox import Outbox
from services.ingest.receive_chunk import ReceiveChunk
from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import AlreadyFinalized, ChunkCountMismatch, Refused
from services.ingest.settle_chunk import SettleChunk
from shared.domain.caller import Caller, CredentialKind
from shared.domain.chunks import decoded_manifest
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id
from shared.domain.object_keys import chunk_key
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from tests.fakes.crashing import CrashingRecordings
from tests.fakes.ingest import FakeRelay
from tests.fakes.objects import FakeObjects
from tests.fakes.stepping import Steps

MOST = 2  # chunk numbers: few, so that they meet


@dataclass
class Put:
    """One PUT as its sender saw it: in which span of the schedule, and what came of it."""

    number: int
    content: bytes
    began: int = 0
    ended: int = 0
    outcome: str = "unknown"


class Scene:
    """One streaming recording, of which everything that happens is written down."""

    def __init__(self, *, patience_s):
        self.steps, self.ticks = Steps(), itertools.count(1)
        self.recordings, self.objects = CrashingRecordings(self.steps), FakeObjects()
        began = datetime.now(UTC)
        self.objects.clock = lambda: began + timedelta(seconds=next(self.ticks))
        stepped = self.steps.over(self.recordings)
        self.files = RecordingFiles(self.steps.over(self.objects))
        manifests = Manifests(stepped, self.steps.over(self.objects))
        settle = SettleChunk(stepped, manifests, patience_s=patience_s)
        self.receive = ReceiveChunk(self.files, settle, None, ChunkBodies(1000))
        self.finalize = Finalize(stepped, self.files, manifests, Outbox(FakeRelay()), 3600)
        fields = {"status": RecordingStatus.STREAMING, "streaming": True, "created_at": now(), "updated_at": now()}
        self.recording = Recording(id=new_id("rec"), project_id=new_id("proj"), mode=Mode.LIVE, **fields)
        self.puts, self.closers, self.finalized, self.overlooked, self.crashed = [], [], [], set(), False

    async def put(self, number, content):
        put = Put(number, content, began=next(self.ticks))
        self.puts.append(put)
        try:
            await self.receive(self.recording.tenant, self.recording.id, number, _body(content))
            put.outcome = "acknowledged"
        except AlreadyFinalized:
            put.outcome = "refused"
        except TransientFailure:
            pass  # unknown: it may count or not
        put.ended = next(self.ticks)

    async def put_past_the_api(self, number, content):
        url = self.files.chunk_url(self.recording.tenant, self.recording.id, number, 60)
        await self.steps.turn()
        began = next(self.ticks)
        self.objects.take(url.removeprefix("http://store.test/").partition("?")[0], content)
        self.puts.append(Put(number, content, began, next(self.ticks), "stored"))

    async def close(self, total):
        began = next(self.ticks)
        self.closers.append(asyncio.current_task())
        try:
            await self.finalize(_caller(self.recording), self.recording.id, FinalizeRecording(total_chunks=total, duration_ms=1))
            self.finalized.append(total)
        except ChunkCountMismatch as refusal:
            before = {put.number for put in self.puts if put.outcome in ("acknowledged", "stored") and put.ended < began}
            self.overlooked |= before.intersection(refusal.details["missing_chunks"])
        except (Refused, TransientFailure):
            pass

    async def kill(self):
        """Let a finalize that is at work make no further step."""
        await self.steps.turn()
        for closer in self.closers:
            if closer.cancel():
                return

    async def crash(self, *, retried):
        """Kill the database and start it again."""
        await self.steps.turn()
        self.crashed = True
        self.recordings.crash(retried=retried)

    def joined(self):
        """Return the content that the stitcher would read of each number."""
        finalization = self.recordings.documents[self.recording.id].finalization
        key = finalization.manifest_key
        kept = self.recordings.unseen[self.recording.id]["manifest"]
        uploads = decoded_manifest(kept if key is None else self.objects.objects[key])
        keys = [chunk_key(self.recording.project_id, self.recording.id, upload.number, upload.upload_id) for upload in uploads]
        assert [upload.number for upload in uploads] == list(range(1, finalization.total_chunks + 1))
        return {upload.number: self.objects.objects[key] for upload, key in zip(uploads, keys, strict=True)}

    def check(self):
        """Hold what came of it against what each sender was told."""
        recording = self.recordings.documents[self.recording.id]
        assert not self.overlooked
        assert (recording.status is RecordingStatus.UPLOADED) == (recording.finalization is not None)
        if recording.finalization is None:
            assert not self.finalized
            assert all(put.outcome != "refused" for put in self.puts)
            return
        joined = self.joined()
        assert set(self.finalized) <= {len(joined)}
        by_content = {put.content: put for put in self.puts}
        for number, content in joined.items():
            used = by_content[content]
            assert used.number == number
            assert used.outcome != "refused"
            assert not [put for put in self.puts if self._should_have_won(put, used)]
        for put in self.puts:
            assert put.outcome != "acknowledged" or put.number in joined

    def _should_have_won(self, put, used):
        """Say whether `put`, of the same number, was acknowledged, and begun only when `used` had been."""
        return put.outcome == "acknowledged" and put.number == used.number and used.ended and put.began > used.ended


def _caller(recording):
    return Caller(tenant=recording.tenant, credential_id="key_1", kind=CredentialKind.SECRET_KEY)


def _body(content):
    async def pieces():
        yield content

    return ChunkBody(pieces=pieces(), size_bytes=len(content))


NUMBERS = st.integers(1, MOST)
ACTS = st.tuples(st.sampled_from(["put", "put", "put", "put", "past", "close", "close", "kill"]), NUMBERS)
CRASHING_ACTS = ACTS | st.tuples(st.sampled_from(["crash", "outage"]), NUMBERS)
ALL_ONCE = [("put", number) for number in range(1, MOST + 1)]


@pytest.fixture
def closing_s(monkeypatch):
    """Return what sets how long a finalize's mark lasts; whoever waits for it, waits without pause."""
    monkeypatch.setattr(settling, "_FIRST_PAUSE_S", 0)
    monkeypatch.setattr(finalizing, "CLOSING_PER_CHUNK_S", 0)
    return lambda seconds: monkeypatch.setattr(finalizing, "CLOSING_S", seconds)


@pytest.fixture(params=[0, 65_536], ids=["the manifest is an object", "the manifest is in the document"])
def in_document_bytes(request, monkeypatch):
    """Set where a manifest goes."""
    monkeypatch.setattr(manifests_of, "IN_DOCUMENT_BYTES", request.param)


@pytest.mark.usefixtures("in_document_bytes")
@pytest.mark.parametrize("lasts_s", [-1.0, 1000.0], ids=["a mark ends at once", "a mark stays"])
@settings(max_examples=125, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, min_size=2, max_size=8), complete=st.booleans(), seed=st.integers(0, 1 << 32))
def test_what_is_joined_is_what_senders_were_told(closing_s, lasts_s, acts, complete, seed):
    closing_s(lasts_s)
    asyncio.run(_played([*ALL_ONCE, ("close", MOST), *acts] if complete else acts, random.Random(seed)))


@pytest.mark.parametrize("lasts_s", [-1.0, 1000.0], ids=["a mark ends at once", "a mark stays"])
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(acts=st.lists(CRASHING_ACTS, min_size=2, max_size=8), complete=st.booleans(), seed=st.integers(0, 1 << 32))
def test_what_is_joined_is_what_senders_were_told_though_the_database_crashes(closing_s, lasts_s, acts, complete, seed):
    closing_s(lasts_s)
    asyncio.run(_played([*ALL_ONCE, ("close", MOST), *acts] if complete else acts, random.Random(seed)))


async def _played(acts, chance):
    scene = Scene(patience_s=0)
    await scene.recordings.add(scene.recording)
    starts = []
    for position, (act, number) in enumerate(acts):
        content = b"%d of %d" % (position, number)
        starts.append(
            {
                "put": lambda n=number, c=content: scene.put(n, c),
                "past": lambda n=number, c=content: scene.put_past_the_api(n, c),
                "close": lambda n=number: scene.close(n),
                "kill": scene.kill,
                "crash": lambda: scene.crash(retried=True),
                "outage": lambda: scene.crash(retried=False),
            }[act]
        )
    outcomes = await scene.steps.drive(starts, chance.randrange)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
    scene.check()
