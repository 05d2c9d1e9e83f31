"""What is shown of a transcription while it is made."""

import asyncio

import msgspec
import pytest

from services.transcriber.ports import Progress
from services.transcriber.show_progress import ShowProgress
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcript import Segment
from shared.domain.transcription import Redaction, SpeechOptions, TranscriptionRequest, queued_transcription


class Shown:
    """Keeps what it is shown; `down` is an outage."""

    def __init__(self):
        self.progress, self.texts, self.down = [], [], False

    async def report(self, _claimed, progress):
        if self.down:
            raise TransientFailure("down")
        self.progress.append(progress)

    async def put(self, _claimed, transcript, *, whole):
        assert not whole
        self.texts.append(transcript)
        return True


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def claimed(**options):
    at = now()
    recording = Recording(
        id="rec_1", project_id="proj_1", mode=Mode.LIVE, status=RecordingStatus.UPLOADED, created_at=at, updated_at=at
    )
    return queued_transcription("txn_1", recording, TranscriptionRequest(options=SpeechOptions(**options)))


def heard(text, end):
    return (Segment(start=end - 1, end=end, text=text, confidence=0.9, words=()),)


async def until(fact):
    async with asyncio.timeout(5):
        while not fact():
            await asyncio.sleep(0.005)


async def test_percent_never_says_all_before_the_text_is_there_and_the_end_is_estimated():
    shown, clock = Shown(), Clock()
    async with ShowProgress(shown, shown, clock).of(claimed()) as take:
        clock.now += 10
        take(Progress(0.25, "transcribing"))
        await until(lambda: shown.progress)
        assert (shown.progress[0].percent, shown.progress[0].stage) == (25, "transcribing")
        left_s = (shown.progress[0].estimated_completion_at - now()).total_seconds()
        assert left_s == pytest.approx(30, abs=1)
        take(Progress(1.0, "diarizing"))
        await until(lambda: len(shown.progress) == 2)
        assert (shown.progress[1].percent, shown.progress[1].stage) == (99, "diarizing")


async def test_nobody_foretells_the_end_of_what_has_hardly_begun():
    shown = Shown()
    async with ShowProgress(shown, shown).of(claimed()) as take:
        take(Progress(0.0, "transcribing"))
        await until(lambda: shown.progress)
    assert shown.progress[0].estimated_completion_at is None


async def test_the_text_so_far_is_shown_in_order_and_without_what_it_must_not_show():
    shown, clock = Shown(), Clock()
    async with ShowProgress(shown, shown, clock).of(claimed(redact=(Redaction.NUMBERS,))) as take:
        take(Progress(0.1, "transcribing", heard("Call 555 1234.", 9.0)))
        take(Progress(0.2, "transcribing", heard("Hello.", 2.0)))
        clock.now += 6
        await until(lambda: shown.texts)
    assert [segment.start for segment in shown.texts[0].segments] == [1.0, 8.0]
    assert "555" not in msgspec.json.encode(shown.texts[0]).decode()


async def test_text_is_never_shown_beside_a_progress_from_before_it_was_heard():
    shown, clock = Shown(), Clock()
    report, heard_meanwhile = shown.report, heard("Hello.", 4.0)

    async def slow_report(claimed, progress):
        take(Progress(0.002, "transcribing", heard_meanwhile))
        await report(claimed, progress)

    shown.report = slow_report
    async with ShowProgress(shown, shown, clock).of(claimed()) as take:
        clock.now += 6
        take(Progress(0.0, "transcribing"))
        await until(lambda: shown.progress)
        assert (shown.progress[0].percent, shown.texts) == (0, [])
        await until(lambda: shown.texts)
    assert shown.progress[1].percent == 1


async def test_an_outage_of_what_shows_it_does_not_disturb_the_work():
    shown = Shown()
    shown.down = True
    async with ShowProgress(shown, shown).of(claimed()) as take:
        for step in range(10):
            take(Progress(step / 10, "transcribing"))
        await asyncio.sleep(0)
        shown.down = False
        take(Progress(0.99, "transcribing"))
        await until(lambda: shown.progress)
    assert shown.progress[-1].percent == 99
