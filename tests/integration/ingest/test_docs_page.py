"""The page at `/docs` in a real browser: it shows every operation, with nothing from elsewhere and nothing against its policy."""

import asyncio
import re
import shutil

import pytest

from tests.conformance import operations

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=20000", "--dump-dom"]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")
async def test_a_browser_shows_every_operation(deployment, tmp_path):
    async with deployment.replica() as api:
        logs = ["--enable-logging=stderr", "--log-level=0", f"--user-data-dir={tmp_path}"]
        browser = await asyncio.create_subprocess_exec(
            CHROMIUM, *FLAGS, *logs, f"{api.url}/docs", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(300):  # a browser on a machine with more to do
            page, log = (text.decode() for text in await browser.communicate())
    shown = set(re.findall(r'id="operations-[^"]*?-([a-z_]+)"', page))
    assert {operation["operationId"] for _, _, operation in operations()} <= shown
    assert not [line for line in log.splitlines() if "CONSOLE" in line], log
