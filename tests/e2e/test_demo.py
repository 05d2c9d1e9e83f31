"""`make demo`, as a person runs it, and as a person interrupts it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import eventually, marked, new_mark

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "deploy.local.demo"]
MOMENTS = {
    "the downloads": "services.transcriber.models",
    "the servers": "mongod",
    "the services": "services.stitcher",
    "the transcriber": "services.transcriber ",
}


def started(tag: dict[str, str]) -> subprocess.Popen[str]:
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(DEMO, cwd=ROOT, env={**os.environ, **tag}, start_new_session=True, **output)


def test_the_demo_shows_both_recordings_and_every_signature_and_leaves_nothing():
    tag = new_mark()
    demo = subprocess.run(DEMO, cwd=ROOT, env={**os.environ, **tag}, capture_output=True, text=True, timeout=300, check=False)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert len(re.findall(r"webhook .* signature verified", demo.stdout)) == 12
    assert "SIGNATURE WRONG" not in demo.stdout
    assert "rather cold-hearted" in demo.stdout
    assert "New Jersey" in demo.stdout
    assert re.search(r"^ +\d+\.\d\d - +\d+\.\d\d +\S", demo.stdout, re.MULTILINE)
    assert marked(tag) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_leaves_no_process(moment):
    tag = new_mark()
    demo = started(tag)
    assert eventually(lambda: any(MOMENTS[moment] in f"{line} " for line in marked(tag)), deadline_s=60)
    os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: to the whole group
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, said
    assert "nothing is left running" in said
    assert marked(tag) == []


def test_ctrl_c_in_the_middle_of_the_uploads_leaves_no_process():
    tag = new_mark()
    demo = started(tag)
    for line in demo.stdout:
        if "webhook  recording.uploaded" in line:
            break
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert marked(tag) == []
