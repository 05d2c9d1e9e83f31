"""What a list remembers of the recordings it has shown."""

import msgspec

from services.ingest.list_recordings import ShownRecordings
from shared.domain.clock import now
from shared.domain.recording import Recording, RecordingStatus, RecordingVersion
from shared.domain.tenant import Mode


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
