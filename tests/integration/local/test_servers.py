"""The embedded servers: one suite over all of them, and their life beside their parent's."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from deploy.local.servers.child import Child
from deploy.local.servers.mongo import MongoServer
from deploy.local.servers.ports import free_port, is_free
from deploy.local.servers.seaweedfs import SeaweedServer
from deploy.local.servers.server import Server, ServerDidNotStart, start_all, stop_all
from deploy.local.servers.tansu import TansuServer
from tests.processes import eventually, marked, new_mark

ROOT = Path(__file__).parents[3]
KINDS = [MongoServer, SeaweedServer, TansuServer]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def server(request, tmp_path):
    server = request.param(tmp_path)
    yield server
    server.kill()


def test_a_started_server_answers_and_a_stopped_one_leaves_its_port(server: Server):
    server.start()
    server.check()
    assert not is_free(server.port)
    server.stop()
    assert server.child.pid is None
    assert is_free(server.port)


def test_a_killed_server_comes_back_on_its_port(server: Server):
    server.start()
    port = server.port
    server.kill()
    assert is_free(port)
    server.restart()
    assert server.port == port
    server.check()


def test_a_server_whose_port_is_taken_says_so_with_the_end_of_its_log(tmp_path):
    first = TansuServer(tmp_path / "first")
    first.start()
    try:
        second = MongoServer(tmp_path / "second", port=first.port)
        with pytest.raises(ServerDidNotStart, match=r"mongod did not start \(exit code \d+\)[\s\S]*[Aa]ddress already in use"):
            second.start()
        assert second.child.pid is None
    finally:
        first.kill()


class Silent(Server):
    """A program that never answers."""

    name = "silent"

    def command(self) -> list[str]:
        return [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]

    def check(self) -> None:
        raise ConnectionRefusedError


def test_a_server_that_stays_silent_is_ended_at_the_deadline(tmp_path):
    silent = Silent(tmp_path)
    with pytest.raises(ServerDidNotStart, match="ConnectionRefusedError"):
        silent.start(deadline_s=0.3)
    assert silent.child.pid is None


def test_when_one_of_several_fails_the_others_are_ended_too(tmp_path):
    taken = TansuServer(tmp_path / "taken")
    taken.start()
    others = [Silent(tmp_path / "silent"), MongoServer(tmp_path / "mongo", port=taken.port), TansuServer(tmp_path / "tansu")]
    try:
        with pytest.raises(ServerDidNotStart, match="mongod"):
            start_all(others)
        assert [server.child.pid for server in others] == [None, None, None]
    finally:
        stop_all([taken, *others])


PARENT = """
    import sys, threading
    from pathlib import Path
    from deploy.local.servers.mongo import MongoServer
    from deploy.local.servers.seaweedfs import SeaweedServer
    from deploy.local.servers.server import start_all
    from deploy.local.servers.tansu import TansuServer

    folder = Path(sys.argv[1])
    start_all([MongoServer(folder / "mongo"), SeaweedServer(folder / "s3"), TansuServer(folder / "broker")])
    print("started", flush=True)
    threading.Event().wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties children to their parent")
def test_a_parent_killed_by_kill_9_leaves_no_server(tmp_path):
    mark = new_mark()
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)]
    parent = subprocess.Popen(command, cwd=ROOT, env=_environment(mark), stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"started\n"  # the threads that started them have ended by now, and they live on
    assert len(marked(mark)) == 4
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert eventually(lambda: marked(mark) == [])


def test_a_program_that_is_to_outlive_its_parent_never_runs_when_the_parent_is_killed_before_it_was_noted(tmp_path):
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from deploy.local.servers.child import Child
        child = Child("touch", Path(sys.argv[1], "log"), tethered=False)
        child.start(["touch", sys.argv[2]], spawned=lambda: os.kill(os.getpid(), signal.SIGKILL))
    """)
    mark, made = new_mark(), tmp_path / "made"
    arguments = [sys.executable, "-c", script, str(tmp_path), str(made)]
    assert subprocess.run(arguments, cwd=ROOT, env=_environment(mark), check=False).returncode == -signal.SIGKILL
    assert eventually(lambda: marked(mark) == [])
    assert not made.exists()


def test_a_program_that_could_not_be_noted_is_ended_and_one_that_was_runs(tmp_path):
    child, made = Child("touch", tmp_path / "log", tethered=False), tmp_path / "made"

    def refused() -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        child.start(["touch", str(made)], spawned=refused)
    assert child.pid is None
    assert not made.exists()
    seen: list[int | None] = []
    child.start(["touch", str(made)], spawned=lambda: seen.append(child.pid))
    assert seen[0] is not None
    assert child.wait() == 0
    assert made.exists()


def _environment(mark: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **mark}


def test_free_ports_are_not_given_twice():
    ports = {free_port() for _ in range(50)}
    assert len(ports) == 50
