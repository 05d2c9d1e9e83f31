"""Where the suite of speech services runs: at servers of ours that behave like them, and, where a key is set, at the live ones.

A key is one of `EARWITNESS_TESTS_<PROVIDER>_KEY`, which only these tests read; the keys of an installation are never used.
It is sent to the provider's own address, or to `EARWITNESS_TESTS_<PROVIDER>_URL`, and stands in no report of a test.
"""

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from services.transcriber.cloud_settings import CloudSettings
from tests.fakes.speech_providers import Ears, FakeAssemblyAI, FakeDeepgram, FakeElevenLabs

FAKES = {"deepgram": FakeDeepgram, "assemblyai": FakeAssemblyAI, "elevenlabs": FakeElevenLabs}
LOCAL, LIVE = "local", "live"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
NOWHERE = "http://127.0.0.1:9/speech.wav"
CONVERSATION_URL = "EARWITNESS_TESTS_CONVERSATION_URL"


class Secret(str):
    """A key, which shows itself to nobody who only looks."""

    __slots__ = ()

    def __repr__(self):
        return "<a key>"


@dataclass(frozen=True)
class Service:
    """A provider to be asked at `url`, every `pause_s` for `patience_s`.

    At `audio_url` it can fetch the conversation, at `nowhere` nothing.
    """

    name: str
    url: str
    key: Secret
    pause_s: float
    patience_s: float
    audio_url: str | None
    nowhere: str = "https://earwitness.invalid/speech.wav"


def everywhere(*names):
    """Parameters of the fixture `service`: each of the providers (all, if none is named), here and live."""
    return [
        pytest.param((name, where), id=f"{name}-{where}", marks=_skipped(name) if where == LIVE else ())
        for name in names or FAKES
        for where in (LOCAL, LIVE)
    ]


def only(name):
    """Run a test for one provider, here and live."""
    return pytest.mark.parametrize("service", everywhere(name), indirect=True)


def _skipped(name):
    said = f"no key: {variable(name, 'KEY')} is not set, so the live {name} is not asked"
    return () if key_of(name) else (pytest.mark.skip(reason=said),)


def variable(name, what):
    return f"EARWITNESS_TESTS_{name.upper()}_{what}"


def key_of(name):
    """Return the key for the live service, empty where there is none."""
    return os.environ.get(variable(name, "KEY"), "").strip()


@asynccontextmanager
async def running(name, where, samples):
    """Yield the service; the samples are what ours knows by heart, the conversation first."""
    if where == LIVE:
        yield live(name)
        return
    fake = FAKES[name](ears=Ears(samples))
    async with fake.running(), served(samples[0].path) as audio_url:
        yield Service(name, fake.url, Secret(fake.key), pause_s=0.0, patience_s=20.0, audio_url=audio_url, nowhere=NOWHERE)


def live(name):
    """Return the live service as the environment gives it."""
    url = os.environ.get(variable(name, "URL")) or getattr(CloudSettings(), f"{name}_url")
    if not is_safe(url):
        pytest.fail(f"the key for {name} is sent by https, or to this machine, but not to {url}", pytrace=False)
    pause_s = 0.0 if is_here(url) else 2.0
    return Service(name, url, Secret(key_of(name)), pause_s=pause_s, patience_s=300.0, audio_url=os.environ.get(CONVERSATION_URL))


def is_safe(url):
    """Say whether a key may be sent there."""
    return urlsplit(url).scheme == "https" or is_here(url)


def is_here(url):
    """Say whether it is a server on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def hidden(text):
    """Return the text without the keys that are set."""
    for key in filter(None, map(key_of, FAKES)):
        text = text.replace(key, repr(Secret(key)))
    return text


@asynccontextmanager
async def served(path):
    """Serve a file on loopback; yields its URL."""

    async def answer(_request):
        return web.FileResponse(path)

    app = web.Application()
    app.add_routes([web.get(f"/{path.name}", answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{path.name}"
    finally:
        await runner.cleanup()
