"""How far a recording is, from 0 to 1 and never falling."""

from collections.abc import Iterable, Iterator

from services.transcriber.ports import Progress
from shared.domain.transcript import Segment
from shared.workers import Report


class Meter:
    """Reports progress by the time reached in the audio, which is gone through `passes` times.

    `aside` is the share of the work that is no transcribing: it counts as done at the end. Audio of unknown length shows no
    progress until then, and audio longer than it said never shows more than all.
    """

    def __init__(self, report: Report, total_s: float | None, *, passes: int = 1, aside: float = 0.0) -> None:
        self._report, self._total_s, self._passes, self._share = report, total_s, passes, 1.0 - aside
        self._passed, self._fraction, self._stage = 0, 0.0, "transcribing"

    def hearing(self, segments: Iterable[Segment]) -> Iterator[Segment]:
        """Hand on what is heard, reporting where it ends."""
        for segment in segments:
            yield segment
            self.reached(segment.end, segment)

    def reached(self, time_s: float, *heard: Segment) -> None:
        """Report that the present pass has come so far, and what was heard last."""
        part = min(time_s / self._total_s, 1.0) if self._total_s else 0.0
        self._fraction = max(self._fraction, self._share * (self._passed + part) / self._passes)
        self._report(Progress(self._fraction, self._stage, heard))

    def next_pass(self) -> None:
        """Begin with the audio again."""
        self._passed += 1

    def begins(self, stage: str) -> None:
        """Report what is done now."""
        self._stage = stage
        self._report(Progress(self._fraction, stage))

    def done(self) -> None:
        """Report the end."""
        self._report(Progress(1.0, self._stage))
