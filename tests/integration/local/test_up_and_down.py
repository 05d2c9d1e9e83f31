"""`make up` and `make down`: the stack outlives the command, its data outlives the stack."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from deploy.local.api import Api
from deploy.local.processes import Mark, end, is_running, mark
from tests.processes import eventually, marked, new_mark

ROOT = Path(__file__).parents[3]


def run(command: str, folder: Path, tag: dict[str, str], *options: str) -> str:
    arguments = [sys.executable, "-m", f"deploy.local.{command}", "--folder", str(folder), *options]
    environment = {**os.environ, **tag, "EARWITNESS_SHUTDOWN_GRACE_S": "5"}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_stack_stays_up_its_printed_lines_work_and_its_data_survives_a_down(tmp_path):
    tag = new_mark()
    try:
        said = run("up", tmp_path, tag)
        answers = [subprocess.check_output(shlex.split(line)) for line in said.splitlines() if line.startswith("curl ")]
        assert len(answers) == 3
        stored, closed, shown = (json.loads(answer) for answer in answers)
        assert (stored["chunk_number"], closed["status"], shown["id"]) == (1, "uploaded", closed["id"])

        assert "stopped 7 processes" in run("down", tmp_path, tag)
        assert marked(tag) == []
        assert "nothing was running" in run("down", tmp_path, tag)

        again = run("up", tmp_path, tag)
        url, key = (re.search(rf"^{word} +(\S+)$", again, re.MULTILINE)[1] for word in ("API", "key"))
        api = Api(url, key)
        assert api.get(f"/v1/recordings/{closed['id']}")["id"] == closed["id"]
        # What the broker held when it went is lost, and must not matter.
        assert eventually(lambda: api.get(f"/v1/recordings/{closed['id']}")["status"] == "completed", deadline_s=120)
        assert urllib.request.urlopen(f"{url}/health").status == 200
    finally:
        run("down", tmp_path, tag)
    assert marked(tag) == []


@pytest.mark.parametrize("moment", ["at once", "servers start", "services start"])
def test_an_interrupted_up_leaves_nothing(tmp_path, moment):
    tag = new_mark()
    signs = {"at once": "stack", "servers start": "mongod", "services start": "services.stitcher"}
    arguments = [sys.executable, "-m", "deploy.local.up", "--folder", str(tmp_path)]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    up = subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, **tag}, **output)
    up.stdout.readline()
    assert eventually(lambda: moment == "at once" or any(signs[moment] in line for line in marked(tag)), deadline_s=60)
    up.send_signal(signal.SIGINT)
    said, _ = up.communicate(timeout=60)
    assert up.returncode == 130, said
    assert marked(tag) == []


@pytest.mark.parametrize("sign", ["mongod", "services.stitcher"])
def test_what_a_killed_up_left_behind_is_found_by_down(tmp_path, sign):
    tag = new_mark()
    arguments = [sys.executable, "-m", "deploy.local.up", "--folder", str(tmp_path)]
    up = subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, **tag}, stdout=subprocess.DEVNULL)
    try:  # one that is still held back ends with `up`
        assert eventually(lambda: any(sign in line and "held.py" not in line for line in marked(tag)), deadline_s=60)
    finally:
        up.kill()
        up.wait()
    assert "stopped" in run("down", tmp_path, tag)
    assert eventually(lambda: marked(tag) == [])


@pytest.mark.parametrize("command", ["up", "down"])
@pytest.mark.parametrize("trouble", ["a file that cannot be read", "a folder that cannot be written"])
def test_what_is_wrong_with_the_folder_is_said_in_a_line(tmp_path, command, trouble):
    if trouble == "a file that cannot be read":
        (tmp_path / "stack.json").write_text("{broken")
        folder = tmp_path
    else:
        folder = Path("/dev/null/local")
    arguments = [sys.executable, "-m", f"deploy.local.{command}", "--folder", str(folder)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"make {command}: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_process_that_has_another_process_id_by_now_is_left_alone():
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        stranger = Mark("mongo", bystander.pid, started="at another time")
        assert not is_running(stranger)
        end([stranger], grace_s=0.1)
        assert bystander.poll() is None
        assert is_running(mark("bystander", bystander.pid))
    finally:
        bystander.kill()
        bystander.wait()
