"""The audio that the lab listens to: the samples, and what is made of them."""

import wave
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from deploy.local.sample_speech import Sample, Turn, conversation, dialogue, reading
from services.transcriber.providers.decode import decoded
from services.transcriber.samples import RATE, Samples

AROUND_S = 0.15  # of a turn that belongs to it


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table: a file, what is said in it, and how it is to be heard."""

    name: str
    path: Path
    said: Sequence[Turn] = ()
    turns: Sequence[Turn] = ()
    multichannel: bool = False
    piece_s: float | None = None

    @property
    def text(self) -> str:
        """All that is said."""
        return " ".join(turn.text for turn in self.said)


def tasks(cache: Path, folder: Path) -> list[Task]:
    """Every row's task; the samples are fetched into `cache` on first use, what is made of them goes to `folder`."""
    talk, alone = dialogue(), reading(cache)
    samples = np.concatenate(list(decoded(talk.path)))
    speech = Turn(start=0.0, end=0.0, speaker="reader", text=alone.text or "")
    return [
        Task(name="reading, one voice", path=alone.path, said=(speech,)),
        _task("telephone, two voices", conversation(cache)),
        _task("dialogue, two voices", talk),
        msgspec.structs.replace(_task("dialogue, cut every 25 s", talk), piece_s=25.0),
        _by_channel(folder / "channels.wav", talk, samples),
        _noisy(folder / "noisy.wav", talk, samples),
        Task(name="noise, hum and music", path=_save(folder / "unspoken.wav", _unspoken())),
    ]


def _task(name: str, sample: Sample) -> Task:
    return Task(name=name, path=sample.path, said=sample.said, turns=sample.turns)


def _by_channel(path: Path, sample: Sample, samples: Samples) -> Task:
    """Each voice in a channel of its own."""
    names = sorted({turn.speaker for turn in sample.turns})
    channels = np.zeros((len(names), len(samples)), dtype=np.float32)
    for turn in sample.turns:
        part = slice(round((turn.start - AROUND_S) * RATE), round((turn.end + AROUND_S) * RATE))
        channels[names.index(turn.speaker), part] = samples[part]
    file = _save(path, *channels)
    return Task(name="dialogue, a channel each", path=file, said=sample.said, turns=sample.turns, multichannel=True)


def _noisy(path: Path, sample: Sample, samples: Samples) -> Task:
    """White noise 10 dB below the speech."""
    loudness = float(np.sqrt(np.mean(np.square(samples))))
    noise = np.random.default_rng(7).standard_normal(len(samples)) * loudness * 10 ** (-10 / 20)
    noisy = (samples + noise).astype(np.float32)
    return Task(name="dialogue in noise", path=_save(path, noisy), said=sample.said, turns=sample.turns)


def _unspoken() -> Samples:
    """Forty seconds in which nobody speaks: ten each of hiss, noise, a mains hum and a swelling chord."""
    seconds = np.arange(10 * RATE) / RATE
    random = np.random.default_rng(3)
    hum = sum(0.1 / order * np.sin(2 * np.pi * 50 * order * seconds) for order in range(1, 6))
    chord = sum(np.sin(2 * np.pi * hertz * seconds) * np.sin(seconds * hertz / 200) ** 2 / 4 for hertz in (220, 277, 330))
    parts = (random.standard_normal(len(seconds)) * 0.001, random.standard_normal(len(seconds)).clip(-4, 4) / 5, hum, chord)
    return np.concatenate(parts).astype(np.float32)


def _save(path: Path, *channels: Samples) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((len(channels), 2, RATE, 0, "NONE", ""))
        file.writeframes((np.stack(channels, axis=1).clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path
