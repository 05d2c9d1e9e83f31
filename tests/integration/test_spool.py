"""Folders for files under work: each process has its own, and what a killed one left is removed by the next."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.spool import Spool

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from shared.spool import Spool
spool = Spool(Path(sys.argv[1]), sys.argv[2])
spool.open()
(spool.folder / "rec_1-x").mkdir()
(spool.folder / "rec_1-x" / "joined").write_bytes(b"audio")
print(spool.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Start processes that hold a folder of a service; all end with the test."""
    started = []

    def start(service="stitcher"):
        command = [sys.executable, "-c", HOLDER, str(tmp_path), service]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        started.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def opened(folder, service="stitcher"):
    spool = Spool(folder, service)
    spool.open()
    return spool


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(hold, tmp_path):
    killed, left = hold()
    _, used = hold()
    killed.kill()
    killed.wait()
    assert (left / "rec_1-x" / "joined").exists()
    spool = opened(tmp_path)
    assert not left.exists()
    assert (used / "rec_1-x" / "joined").read_bytes() == b"audio"
    assert spool.folder.is_dir()
    spool.close()


def test_another_services_leftovers_and_strangers_folders_stay(hold, tmp_path):
    other, left = hold("transcriber")
    other.kill()
    other.wait()
    strangers = [tmp_path / "rec_1-x", tmp_path / "stitcher-1"]
    for folder in strangers:
        folder.mkdir()
    opened(tmp_path).close()
    assert all(folder.exists() for folder in (left, *strangers))


def test_a_closed_folder_is_gone_with_everything_in_it(tmp_path):
    spool = opened(tmp_path / "not" / "there" / "yet")
    (spool.folder / "file").write_bytes(b"x")
    spool.close()
    spool.close()
    assert list((tmp_path / "not/there/yet").iterdir()) == []


def test_processes_that_start_at_the_same_moment_leave_each_other_alone(tmp_path):
    spools = [Spool(tmp_path, "stitcher") for _ in range(24)]
    threads = [threading.Thread(target=spool.open) for spool in spools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tmp_path.iterdir()) == sorted(spool.folder for spool in spools)
    assert all(spool.folder.stat().st_mode & 0o077 == 0 for spool in spools)
    for spool in spools:
        spool.close()
