"""What fake speech services hear: always the same two sentences, or, with better ears, what is in the audio."""

import hashlib
import io
import wave
from dataclasses import dataclass

import aiohttp
import numpy as np

SPOKEN = (
    ("Hello,", 0.5, 0.9, 0),
    ("who", 1.0, 1.2, 0),
    ("speaks?", 1.2, 1.6, 0),
    ("Good", 4.0, 4.3, 1),
    ("morning.", 4.3, 4.9, 1),
)
"""What every one of them hears by itself: word, start and end in seconds, speaker."""
DURATION_S = 5.5
SHORTEST_S = 0.16


@dataclass(frozen=True)
class Sound:
    """What is said in audio: words as in `SPOKEN`, by channel."""

    duration_s: float
    channels: tuple[tuple, ...]

    @property
    def words(self):
        """The words of all channels, in the order in which they were spoken."""
        return sorted((word for channel in self.channels for word in channel), key=lambda word: word[1])

    @property
    def text(self):
        return " ".join(word for word, *_ in self.words)


THE_SAME = Sound(DURATION_S, (SPOKEN,))


class CorruptAudio(Exception):
    """There is no audio in it."""


class AudioTooShort(Exception):
    """It is shorter than what some services take."""

    def __init__(self, sound):
        super().__init__()
        self.sound = sound


class AudioAway(Exception):
    """It is not where the URL says."""


async def the_same(_content, _url):
    """Hear the same two sentences in whatever is sent."""
    return THE_SAME


class Ears:
    """Decode what is sent, or fetch it, and hear what is in it: the samples known by heart, silence, or that it is no audio."""

    def __init__(self, samples):
        self._known = {}
        for sample in samples:
            rate, channels = _decoded(sample.path.read_bytes())
            self._known[_digest(channels[0])] = said_in(sample, len(channels[0]) / rate)

    async def __call__(self, content, url):
        rate, channels = _decoded(await _fetched(url) if content is None else content)
        sound = Sound(len(channels[0]) / rate, tuple(self._words(channel) for channel in channels))
        if sound.duration_s < SHORTEST_S:
            raise AudioTooShort(sound)
        return sound

    def _words(self, channel):
        return self._known[_digest(channel)] if channel.any() else ()


def said_in(sample, duration_s):
    """Return the sample's words as in `SPOKEN`, spread evenly over the time of each of its turns."""
    turns = [(turn.text, turn.start, turn.end, turn.speaker) for turn in sample.said] or [(sample.text, 0.0, duration_s, "one")]
    speakers = list(dict.fromkeys(speaker for *_, speaker in turns))
    words = []
    for text, start, end, speaker in turns:
        said = text.split()
        step = (end - start) / len(said)
        words += [
            (word, round(start + number * step, 3), round(start + (number + 1) * step, 3), speakers.index(speaker))
            for number, word in enumerate(said)
        ]
    return tuple(words)


async def _fetched(url):
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            answer.raise_for_status()
            return await answer.read()
    except aiohttp.ClientError as error:
        raise AudioAway from error


def _decoded(content):
    try:
        with wave.open(io.BytesIO(content)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, file.getnchannels())
            return file.getframerate(), [np.ascontiguousarray(channel) for channel in samples.T]
    except (wave.Error, EOFError) as error:
        raise CorruptAudio from error


def _digest(channel):
    return hashlib.sha256(np.trim_zeros(channel, "b").tobytes()).digest()  # silence after it makes no other of it
