"""Speech providers as their API references describe them, on loopback; what they are asked is checked field by field."""

from tests.fakes.speech_providers.assemblyai import FakeAssemblyAI
from tests.fakes.speech_providers.deepgram import FakeDeepgram
from tests.fakes.speech_providers.elevenlabs import FakeElevenLabs
from tests.fakes.speech_providers.server import KEY, FakeProvider
from tests.fakes.speech_providers.sounds import SPOKEN, Ears
from tests.fakes.speech_providers.troubles import cut_off, dripping, malformed, not_json, silent, status

__all__ = [
    "KEY",
    "SPOKEN",
    "Ears",
    "FakeAssemblyAI",
    "FakeDeepgram",
    "FakeElevenLabs",
    "FakeProvider",
    "cut_off",
    "dripping",
    "malformed",
    "not_json",
    "silent",
    "status",
]
