"""The state tables, move by move: what they allow happens, everything else is refused loudly."""

from datetime import timedelta
from itertools import product

import pytest

from shared.domain import device_command as commands
from shared.domain import recording as recordings
from shared.domain import transcription as transcriptions
from shared.domain.clock import now
from shared.domain.device_command import CommandStatus, CommandType, DeviceCommand
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcription import TranscriptionRequest, TranscriptionStatus, queued_transcription
from shared.domain.transition import TransitionRefused


def a_recording(status: RecordingStatus) -> Recording:
    return Recording(id=new_id("rec"), project_id="proj_1", mode=Mode.LIVE, status=status, created_at=now(), updated_at=now())


@pytest.mark.parametrize(("present", "wanted"), list(product(RecordingStatus, RecordingStatus)))
def test_a_recording_moves_only_as_its_table_says(present, wanted):
    recording = a_recording(present)
    if wanted is present or wanted in recordings.FOLLOWS[present]:
        moved = recording.changed(status=wanted)
        assert (moved.status, moved.version) == (wanted, recording.version + 1)
    else:
        with pytest.raises(TransitionRefused, match=f"is {present} and may not become {wanted}"):
            recording.changed(status=wanted)


@pytest.mark.parametrize(("present", "wanted"), list(product(TranscriptionStatus, TranscriptionStatus)))
def test_a_transcription_moves_only_as_its_table_says(present, wanted):
    queued = queued_transcription(new_id("txn"), a_recording(RecordingStatus.UPLOADED), TranscriptionRequest())
    path = {
        TranscriptionStatus.PENDING: (),
        TranscriptionStatus.PROCESSING: (TranscriptionStatus.PROCESSING,),
        TranscriptionStatus.COMPLETED: (TranscriptionStatus.PROCESSING, TranscriptionStatus.COMPLETED),
        TranscriptionStatus.FAILED: (TranscriptionStatus.FAILED,),
    }[present]
    for step in path:
        queued = queued.changed(status=step)
    if wanted is present or wanted in transcriptions.FOLLOWS[present]:
        assert queued.changed(status=wanted).status is wanted
    else:
        with pytest.raises(TransitionRefused):
            queued.changed(status=wanted)


@pytest.mark.parametrize(("present", "wanted"), list(product(CommandStatus, CommandStatus)))
def test_a_command_moves_only_as_its_table_says(present, wanted):
    at = now()
    command = DeviceCommand(
        id=new_id("cmd"),
        project_id="proj_1",
        mode=Mode.LIVE,
        device_id="dev_1",
        binding_generation=1,
        type=CommandType.STOP_RECORDING,
        status=present,
        ttl_s=300,
        created_at=at,
        expires_at=at + timedelta(minutes=5),
    )
    allowed = wanted in commands.FOLLOWS[present]
    assert (present in commands.sources_of(wanted)) is allowed
    if allowed:
        command.check_move(wanted)
    else:
        with pytest.raises(TransitionRefused, match=f"is {present} and may not become {wanted}"):
            command.check_move(wanted)


def test_every_status_has_a_row_and_nothing_leads_back_out_of_an_ended_transcription():
    assert set(recordings.FOLLOWS) == set(RecordingStatus)
    assert set(transcriptions.FOLLOWS) == set(TranscriptionStatus)
    assert set(commands.FOLLOWS) == set(CommandStatus)
    assert not transcriptions.FOLLOWS[TranscriptionStatus.COMPLETED]
    assert not transcriptions.FOLLOWS[TranscriptionStatus.FAILED]


def test_the_original_is_untouched_by_a_move():
    recording = a_recording(RecordingStatus.PENDING)
    recording.changed(status=RecordingStatus.UPLOADED, name="after")
    assert (recording.status, recording.version, recording.name) == (RecordingStatus.PENDING, 1, None)
