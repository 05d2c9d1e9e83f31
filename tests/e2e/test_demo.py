"""`make demo`, as a person runs it, and as a person interrupts it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.servers.ports import is_free
from tests.processes import eventually, listening, marked, new_mark

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "deploy.local.demo"]
MOMENTS = {
    "the downloads": "services.transcriber.models",
    "the servers": "mongod",
    "the services": "services.stitcher",
    "the transcriber": "services.transcriber ",
}


def ended(process: subprocess.Popen[str], within_s: float) -> int | None:
    try:
        return process.wait(within_s)
    except subprocess.TimeoutExpired:
        return None


def started(tag: dict[str, str]) -> subprocess.Popen[str]:
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(DEMO, cwd=ROOT, env={**os.environ, **tag}, start_new_session=True, **output)


def test_the_demo_shows_both_recordings_and_every_signature_and_leaves_neither_process_nor_port(tmp_path):
    tag, said, ports = new_mark(), tmp_path / "said", set()
    with said.open("w") as output:
        demo = subprocess.Popen(DEMO, cwd=ROOT, env={**os.environ, **tag}, stdout=output, stderr=output)
        while (code := ended(demo, within_s=1)) is None:
            ports |= listening(tag)
    shown = said.read_text()
    assert code == 0, shown
    assert len(re.findall(r"webhook .* signature verified", shown)) == 12
    assert "SIGNATURE WRONG" not in shown
    assert re.search(r"(\d+) chunks uploaded out of order, one of them twice", shown)
    assert "rather cold-hearted" in shown
    assert "New Jersey" in shown
    assert re.search(r"^ +\d+\.\d\d - +\d+\.\d\d +\S", shown, re.MULTILINE)
    assert marked(tag) == []
    assert len(ports) >= 7  # three servers and four services
    assert [port for port in ports if not is_free(port)] == []


def test_ctrl_c_while_the_demo_is_being_loaded_ends_it_quietly():
    tag = new_mark()
    demo = started(tag)
    assert eventually(lambda: "msgspec" in Path(f"/proc/{demo.pid}/maps").read_text(), deadline_s=60)
    os.killpg(demo.pid, signal.SIGINT)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, said
    assert "Traceback" not in said
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
