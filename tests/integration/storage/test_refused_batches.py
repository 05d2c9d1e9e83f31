"""A batch that MongoDB refuses is an outage that names its codes: what stands in the documents is no business of the log's."""

import pytest

from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.events.recording import RecordingCreated, recording_event
from shared.storage.events import Events
from shared.storage.mongo_errors import StoreUnavailable
from shared.storage.recordings import Recordings
from shared.telemetry.log_lines import describe

WRITTEN_BY_PEOPLE = "Mrs Dashwood"
NOTHING_FITS = {"nothing": {"$exists": True}}


async def keep(mongo, recording):
    await mongo.database.create_collection("events", validator=NOTHING_FITS)
    await Events(mongo).keep([recording_event(RecordingCreated, recording)])


async def save(mongo, recording):
    await Recordings(mongo).add(recording)
    await mongo.database.command("collMod", "recordings", validator=NOTHING_FITS)
    await Recordings(mongo).save_all([(recording, recording.changed(name=f"{WRITTEN_BY_PEOPLE}'s son"))])


@pytest.mark.parametrize("write", [keep, save])
async def test_the_error_tells_of_codes_and_of_no_document(mongo, write):
    at = now()
    about = {"project_id": "proj_1", "mode": Mode.LIVE, "status": RecordingStatus.PENDING, "created_at": at, "updated_at": at}
    with pytest.raises(StoreUnavailable, match="121") as raised:
        await write(mongo, Recording(id=new_id("rec"), name=WRITTEN_BY_PEOPLE, **about))
    assert WRITTEN_BY_PEOPLE not in str(describe(raised.value, stack=True))
