"""Progress never falls, and ends with all."""

from services.transcriber.providers.meter import Meter
from shared.domain.transcript import Segment


def segment(end):
    return Segment(start=0, end=end, text="a", confidence=None, words=())


def test_it_follows_what_is_heard():
    seen = []
    meter = Meter(seen.append, 10.0, aside=0.4)
    assert [heard.end for heard in meter.hearing([segment(2.0), segment(5.0), segment(4.0)])] == [2.0, 5.0, 4.0]
    meter.reached(10.0)
    meter.begins("diarizing")
    meter.done()
    assert [round(progress.fraction, 2) for progress in seen] == [0.12, 0.3, 0.3, 0.6, 0.6, 1.0]
    assert [progress.stage for progress in seen][-3:] == ["transcribing", "diarizing", "diarizing"]


def test_each_channel_is_its_share():
    seen = []
    meter = Meter(seen.append, 10.0, passes=2)
    meter.reached(10.0)
    meter.next_pass()
    meter.reached(5.0)
    assert [progress.fraction for progress in seen] == [0.5, 0.75]


def test_unknown_or_wrong_lengths_do_no_harm():
    seen = []
    Meter(seen.append, None).reached(5.0)
    Meter(seen.append, 2.0).reached(500.0)
    assert [progress.fraction for progress in seen] == [0.0, 1.0]
