"""Apache Kafka and MinIO in place of the defaults: they run where their tools are, and elsewhere the error says what to do."""

import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local.processes import started_at
from deploy.local.servers.apache_kafka import KafkaServer
from deploy.local.servers.cache import fetch
from deploy.local.servers.minio import MinioServer
from deploy.local.servers.ports import is_free
from deploy.local.servers.server import ServerUnavailable

ROOT = Path(__file__).parents[3]
WITHOUT_TOOLS = "/usr/bin/true-nowhere"


@pytest.mark.parametrize(
    ("kind", "tool", "default"),
    [(KafkaServer, "java", "BROKER=memory"), (MinioServer, "go", "S3=seaweedfs")],
    ids=["kafka", "minio"],
)
def test_where_its_tools_are_missing_the_error_names_them_and_the_default(kind, tool, default, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", WITHOUT_TOOLS)
    monkeypatch.setattr(sys.modules[kind.__module__], "CACHE", tmp_path / "cache")  # as on a machine that never had it
    with pytest.raises(ServerUnavailable) as raised:
        kind(tmp_path / "server").start()
    assert tool in str(raised.value)
    assert default in str(raised.value)


def test_make_up_without_java_says_so_and_starts_nothing(tmp_path):
    command = [sys.executable, "-m", "deploy.local.up", "--broker", "kafka", "--folder", str(tmp_path / "stack")]
    environment = {"PATH": WITHOUT_TOOLS, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "BROKER=memory" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.skipif(not (shutil.which("java") and shutil.which("mvn")), reason="Apache Kafka needs Java and Maven")
def test_apache_kafka_starts_answers_and_stops(tmp_path):
    server = KafkaServer(tmp_path)
    server.start()
    try:
        server.check()
    finally:
        server.stop()
    assert is_free(server.port)


def test_what_is_fetched_is_there_whole_or_not_at_all_and_a_failure_tells_the_reason(tmp_path):
    into = tmp_path / "cache" / "thing"
    with pytest.raises(ServerUnavailable, match="no such module"):
        fetch(["sh", "-c", "touch {folder}/half; echo no such module >&2; exit 3"], into, {}, threading.Event())
    assert list(into.parent.iterdir()) == []
    fetch(["sh", "-c", 'echo whole > "$PLACE/file"'], into, {"PLACE": "{folder}"}, threading.Event())
    assert (into / "file").read_text() == "whole\n"


def test_a_fetch_that_is_given_up_ends_its_program_and_leaves_nothing(tmp_path):
    into, noted, given_up = tmp_path / "cache" / "thing", tmp_path / "pid", threading.Event()
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(
            fetch, ["sh", "-c", f"echo $$ > {noted}.new; mv {noted}.new {noted}; sleep 600"], into, {}, given_up
        )
        deadline = time.monotonic() + 20
        while not noted.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        given_up.set()
        with pytest.raises(ServerUnavailable):
            fetching.result(10)
    assert started_at(int(noted.read_text())) is None
    assert list(into.parent.iterdir()) == []
