"""What a diarization engine offers; a second one may follow through the same port."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from services.transcriber.samples import Samples


class Turn(msgspec.Struct, frozen=True):
    """A stretch in which one person speaks; seconds from the start of the audio. Turns of different speakers may overlap."""

    start: float
    end: float
    speaker: int


class Listening(Protocol):
    """One recording, heard once from its start to its end."""

    def hear(self, samples: Samples) -> None:
        """Take the samples that follow; they best begin and end where nobody speaks."""

    def turns(self) -> Sequence[Turn]:
        """Who spoke when, by start, once everything has been heard; empty when nobody did."""
        ...


class Diarizer(Protocol):
    """A loaded engine; it uses memory for some minutes of audio, however long the recording."""

    def listen(self, speakers: int | None = None) -> Listening:
        """Begin a recording; `speakers` is how many there are, where that is known."""
        ...
