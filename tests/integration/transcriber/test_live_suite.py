"""The live half of the suite, run as somebody with keys runs it, by the environment alone; our servers stand for the services."""

import asyncio
import os
import secrets
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.fakes.speech_providers import Ears
from tests.integration.transcriber.speech_services import CONVERSATION_URL, FAKES, is_safe, served, variable

HERE = Path(__file__).parent
SUITE = [str(HERE / name) for name in ("test_cloud_providers.py", "test_cloud_workers.py")]
ONE = "deepgram-live and one_form"
DEADLINE_S = 240


class Told:
    """What a run of pytest said: how many tests had each outcome, and all of its output."""

    def __init__(self, report, output):
        cases = list(ET.parse(report).getroot().iter("testcase"))
        ends = [next((child.tag for child in case if child.tag in {"skipped", "failure", "error"}), "passed") for case in cases]
        self.outcomes, self.output = Counter(ends), output
        self.skips = {child.get("message") for case in cases for child in case.iter("skipped")}


@pytest.fixture
def suite(tmp_path):
    """Runs the live half, or what of it is named, with these variables and no others of its kind."""

    async def run(chosen="live", **variables):
        foreign = {variable(name, what) for name in FAKES for what in ("KEY", "URL")} | {CONVERSATION_URL}
        environment = {name: value for name, value in os.environ.items() if name not in foreign} | variables
        report = tmp_path / "report.xml"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", chosen, f"--junitxml={report}", *SUITE]
        child = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                output, _ = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
        return Told(report, output.decode())

    return run


@pytest.fixture
async def services(real_conversation, real_speech):
    """A service of each kind, with keys that nobody knows but by the environment."""
    ears = Ears((real_conversation, real_speech))
    async with AsyncExitStack() as running:
        yield {name: await running.enter_async_context(fake(key=new_key(), ears=ears).running()) for name, fake in FAKES.items()}


def new_key():
    return f"key-{secrets.token_hex(12)}"


def variables_for(services):
    keys = {variable(name, "KEY"): service.key for name, service in services.items()}
    return keys | {variable(name, "URL"): service.url for name, service in services.items()}


async def test_with_keys_every_test_is_run_against_the_services_and_leaves_nothing_there(suite, services, real_conversation):
    async with served(real_conversation.path) as audio_url:
        told = await suite(**variables_for(services), **{CONVERSATION_URL: audio_url})
    assert set(told.outcomes) == {"passed"}, told.output
    assert told.outcomes["passed"] >= 50
    assert all(service.asked for service in services.values())
    assert (services["elevenlabs"].kept, services["assemblyai"].jobs) == ({}, {})
    assert [service.key in told.output for service in services.values()] == [False] * 3


async def test_without_keys_it_is_skipped_and_says_so(suite, services):
    urls = {name: url for name, url in variables_for(services).items() if name.endswith("_URL")}
    told = await suite(**urls)
    assert set(told.outcomes) == {"skipped"}
    assert told.skips == {f"no key: {variable(name, 'KEY')} is not set, so the live {name} is not asked" for name in FAKES}
    assert [service.asked for service in services.values()] == [[]] * 3


async def test_a_service_that_hears_something_else_fails_it_and_the_report_shows_no_key(suite):
    async with FAKES["deepgram"](key=new_key()).running() as deaf:
        told = await suite(ONE, **variables_for({"deepgram": deaf}))
        assert deaf.asked
    assert told.outcomes == {"failure": 1}
    assert "word_error_rate" in told.output
    assert deaf.key not in told.output


async def test_a_key_is_not_sent_in_the_clear(suite):
    told = await suite(ONE, EARWITNESS_TESTS_DEEPGRAM_KEY=new_key(), EARWITNESS_TESTS_DEEPGRAM_URL="http://deepgram.invalid")
    assert told.outcomes == {"error": 1}
    assert "is sent by https" in told.output


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://api.deepgram.com", True),
        ("http://127.0.0.1:8080", True),
        ("http://api.deepgram.com", False),
        ("http://127.0.0.1.example.com", False),
        ("ftp://127.0.0.1", False),
    ],
)
def test_where_a_key_may_be_sent(url, safe):
    assert is_safe(url) is safe
