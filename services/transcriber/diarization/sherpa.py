"""Diarization by sherpa-onnx: a segmentation model finds who speaks at once, a voice model tells whose voice it is.

The engine wants all its audio at once, and its clustering grows with the square of it. Long recordings are therefore
diarized in stretches of some minutes, and the stretches' speakers linked by their voices.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import sherpa_onnx

from services.transcriber.diarization.linking import Part, Voice, linked, unit
from services.transcriber.diarization.ports import Turn
from services.transcriber.diarization.settings import SherpaSettings
from services.transcriber.samples import RATE, Samples

SHORTEST = RATE // 4  # samples: less has no speaker worth the name
VOICE_S = 30.0  # of a speaker's longest turns are enough to know the voice by


class SherpaDiarizer:
    """See the port. Raises `RuntimeError` when a model cannot be loaded."""

    def __init__(self, settings: SherpaSettings) -> None:
        voices = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(settings.voices), num_threads=settings.threads)
        pyannote = sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(model=str(settings.segmentation))
        self._config = sherpa_onnx.OfflineSpeakerDiarizationConfig(
            segmentation=sherpa_onnx.OfflineSpeakerSegmentationModelConfig(pyannote=pyannote, num_threads=settings.threads),
            embedding=voices,
            clustering=sherpa_onnx.FastClusteringConfig(threshold=settings.threshold),
        )
        self._settings = settings
        self._engine = sherpa_onnx.OfflineSpeakerDiarization(self._config)
        self._voices = sherpa_onnx.SpeakerEmbeddingExtractor(voices)

    def listen(self, speakers: int | None = None) -> "SherpaListening":
        """Begin a recording."""
        return SherpaListening(self, stretch=round(self._settings.stretch_s * RATE), speakers=speakers)

    def turns_in(self, samples: Samples, speakers: int | None) -> list[Turn]:
        """Who speaks when in one stretch.

        An engine told to find more people than it can hear in so little finds one; then whoever it finds untold counts.
        """
        if len(samples) < SHORTEST:
            return []
        told = self._found(samples, speakers)
        if speakers is None or _people(told) == speakers:
            return told
        return max(told, self._found(samples, None), key=lambda turns: _people(turns) if _people(turns) <= speakers else 0)

    def _found(self, samples: Samples, speakers: int | None) -> list[Turn]:
        clustering = sherpa_onnx.FastClusteringConfig(num_clusters=speakers or -1, threshold=self._settings.threshold)
        self._config.clustering = clustering
        self._engine.set_config(self._config)
        found = self._engine.process(samples).sort_by_start_time()
        return [Turn(float(turn.start), float(turn.end), int(turn.speaker)) for turn in found]

    def voice_of(self, samples: Samples) -> Voice:
        """How the one who speaks sounds, as a unit vector."""
        stream: Any = self._voices.create_stream()
        stream.accept_waveform(RATE, samples)
        stream.input_finished()
        return unit(np.asarray(self._voices.compute(stream), dtype=np.float32))


class SherpaListening:
    """One recording; holds at most a stretch and a piece of it."""

    def __init__(self, diarizer: SherpaDiarizer, *, stretch: int, speakers: int | None) -> None:
        self._diarizer, self._stretch, self._speakers = diarizer, stretch, speakers
        self._waiting: list[Samples] = []
        self._start = self._stretches = 0
        self._turns: list[Turn] = []  # whose speaker is an index into `_parts`
        self._parts: list[Part] = []

    def hear(self, samples: Samples) -> None:
        """Take the next piece; what waits is diarized once it is too long, but for its latter half.

        So the last stretch is never a mere scrap, in which nobody could be told apart.
        """
        self._waiting.append(samples)
        if sum(map(len, self._waiting)) > self._stretch:
            first = max(1, len(self._waiting) // 2)
            self._diarize(self._waiting[:first])
            del self._waiting[:first]

    def turns(self) -> Sequence[Turn]:
        """Diarize what is left, and name the speakers of all stretches alike."""
        pieces, self._waiting = self._waiting, []
        if pieces and not self._stretches:
            return self._diarizer.turns_in(np.concatenate(pieces), self._speakers)
        if pieces:
            self._diarize(pieces)
        people = linked(self._parts, self._speakers)
        return [msgspec.structs.replace(turn, speaker=people[turn.speaker]) for turn in self._turns]

    def _diarize(self, pieces: list[Samples]) -> None:
        """Note the turns and the voices of one stretch among several."""
        samples, offset_s = np.concatenate(pieces), self._start / RATE
        found = self._diarizer.turns_in(samples, self._speakers)
        names = {speaker: len(self._parts) + index for index, speaker in enumerate(sorted({turn.speaker for turn in found}))}
        for speaker in names:
            spoken = np.concatenate(list(_longest([turn for turn in found if turn.speaker == speaker], found, samples)))
            self._parts.append(Part(self._stretches, self._diarizer.voice_of(spoken), len(spoken) / RATE))
        self._turns += [Turn(turn.start + offset_s, turn.end + offset_s, names[turn.speaker]) for turn in found]
        self._start += len(samples)
        self._stretches += 1


def _people(turns: Sequence[Turn]) -> int:
    return len({turn.speaker for turn in turns})


def _longest(own: list[Turn], everybody: list[Turn], samples: Samples) -> Iterator[Samples]:
    """The samples of a speaker's longest turns, `VOICE_S` in all; those that others talk into come last."""
    disturbed = {turn for one, other in pairwise(everybody) if other.start < one.end for turn in (one, other)}
    left_s = VOICE_S
    for turn in sorted(own, key=lambda turn: (turn in disturbed, turn.start - turn.end)):
        if left_s <= 0:
            return
        end = min(turn.end, turn.start + left_s)
        left_s -= end - turn.start
        yield samples[round(turn.start * RATE) : round(end * RATE)]
