"""What a list remembers of the recordings it has shown."""

import msgspec
import pytest

from services.ingest.list_recordings import ListRecordings, RecordingFilter, ShownRecordings
from services.ingest.paging import Pager, PageRequest
from services.ingest.signatures import Signatures
from shared.domain.caller import Caller, CredentialKind
from shared.domain.clock import now
from shared.domain.recording import Recording, RecordingStatus, RecordingVersion
from shared.domain.tenant import Mode, Tenant


def a_recording(number, **fields):
    at = now()
    return Recording(
        id=f"rec_{number}",
        project_id="proj_1",
        mode=Mode.LIVE,
        status=RecordingStatus.PENDING,
        created_at=at,
        updated_at=at,
        **fields,
    )


def known(shown, *recordings):
    """Return how these versions were shown, each None that is not known."""
    rows = shown.rows([RecordingVersion(id=recording.id, version=recording.version) for recording in recordings])
    return [rows.get(recording.id) for recording in recordings]


class OneMoment:
    """A store of which several ask for the same page at the same moment; counts what it is asked for beside that."""

    def __init__(self, *recordings):
        self.change(*recordings)
        self.read = 0

    def change(self, *recordings):
        self.recordings = {recording.id: recording for recording in recordings}
        self.versions = tuple(RecordingVersion(id=one.id, version=one.version) for one in recordings)

    async def page_of_versions(self, *_args, **_position):
        return self.versions

    async def those_of(self, _tenant, versions):
        self.read += 1
        return [self.recordings[one.id] for one in versions if self.recordings[one.id].version == one.version]

    async def page(self, *_args, **_position):
        self.read += 1
        return list(self.recordings.values())


@pytest.fixture
def caller():
    return Caller(tenant=Tenant("proj_1", Mode.LIVE), credential_id="key_1", kind=CredentialKind.SECRET_KEY)


async def names(listing, caller):
    page = await listing(caller, PageRequest(), RecordingFilter())
    return [msgspec.json.decode(row.shown)["name"] for row in page.items]


async def test_who_asks_for_a_page_at_the_same_moment_is_shown_the_same_and_who_asks_later_what_stands_then(caller):
    first = a_recording(1, name="first")
    store = OneMoment(first)
    listing = ListRecordings(store, Pager(Signatures("secret")))
    assert [await names(listing, caller) for _ in range(3)] == [["first"]] * 3
    assert store.read == 1
    store.change(first.changed(name="renamed"), a_recording(2, name="second"))
    assert await names(listing, caller) == ["renamed", "second"]
    store.change()
    assert await names(listing, caller) == []


async def test_a_page_of_which_a_recording_changed_meanwhile_is_read_whole(caller):
    before = a_recording(1, name="before")
    store = OneMoment(before)
    store.recordings = {before.id: before.changed(name="after")}
    assert await names(ListRecordings(store, Pager(Signatures("secret"))), caller) == ["after"]
    assert store.read == 2


def test_a_recording_is_known_in_the_version_that_was_shown_and_in_no_other():
    shown, recording = ShownRecordings(), a_recording(1)
    row = shown.show(recording)
    later = recording.changed(name="Renamed")
    assert msgspec.json.decode(row.shown)["id"] == recording.id
    assert known(shown, recording) == [row]
    assert known(shown, later) == [None]
    assert msgspec.json.decode(shown.show(later).shown)["name"] == "Renamed"
    assert known(shown, recording) == [None]


def test_what_was_shown_a_minute_ago_is_shown_anew():
    time = [0.0]
    shown, recording = ShownRecordings(clock=lambda: time[0]), a_recording(1)
    shown.show(recording)
    time[0] = 59.9
    assert known(shown, recording) != [None]
    time[0] = 60.0
    assert known(shown, recording) == [None]


def test_the_longest_known_are_forgotten_when_all_together_are_too_large():
    recordings = [a_recording(number, metadata={"text": "x" * 1000}) for number in range(5)]
    shown = ShownRecordings(most_bytes=6000)
    for recording in recordings:
        shown.show(recording)
    assert [row is not None for row in known(shown, *recordings)] == [False, False, True, True, True]
    huge = a_recording(9, metadata={"text": "x" * 7000})
    assert msgspec.json.decode(shown.show(huge).shown)["id"] == "rec_9"
    assert known(shown, huge) == [None]
