"""Workers of equal capacity: where they are held to a share, how they are told to share the queue out, and what efficiency is."""

import pytest

from bench.claims import efficiency, equal_loads, report, wall_loads
from bench.claims_run import Run
from bench.cpu_groups import PERIOD_US, Controller, CpuGroup, controller_in

QUOTA_US = PERIOD_US // 4
PROC = "proc /proc proc rw 0 0\n"
V1 = PROC + "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
V2 = PROC + "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n"


def run(rate):
    rest = dict.fromkeys(("cpu_ms", "mongod_ms", "statements", "lost", "here", "mongod", "idle"), 0.5)
    return Run(rate=rate, least=1, most=2, held=0.9, **rest)


@pytest.mark.parametrize(
    ("mounts", "own", "folder", "version"),
    [
        (V1, "4:memory:/limits\n1:cpu,cpuacct:/limits/ours\n0::/\n", "/sys/fs/cgroup/cpu,cpuacct/limits/ours", 1),
        (V1, "4:memory:/limits\n", "/sys/fs/cgroup/cpu,cpuacct", 1),
        (V2, "0::/user.slice\n", "/sys/fs/cgroup", 2),
    ],
)
def test_groups_are_made_where_the_cpu_is_divided(mounts, own, folder, version):
    found = controller_in(mounts, own)
    assert (str(found.folder), found.version) == (folder, version)


def test_where_no_control_groups_are_mounted_there_is_no_place_for_them():
    assert controller_in(PROC, "0::/\n") is None


@pytest.mark.parametrize(
    ("version", "written"),
    [
        (1, {"cpu.cfs_period_us": PERIOD_US, "cpu.cfs_quota_us": QUOTA_US, "cpu.cfs_burst_us": QUOTA_US, "cpu.shares": 262144}),
        (2, {"cpu.max": f"{QUOTA_US} {PERIOD_US}", "cpu.max.burst": QUOTA_US, "cpu.weight": 10000}),
    ],
)
def test_a_share_is_written_as_the_version_of_the_interface_wants_it(tmp_path, version, written):
    CpuGroup(Controller(tmp_path, version), "ours", 0.25).hold(77)
    found = {path.name: path.read_text(encoding="ascii") for path in (tmp_path / "ours").iterdir()}
    assert found == {name: str(value) for name, value in written.items()} | {"cgroup.procs": "77"}


def test_at_equal_capacity_each_worker_has_the_same_part_of_one_long_queue():
    loads = list(equal_loads(2000, (1, 2, 4), 0.1))
    assert {load.jobs for load in loads} == {2000}
    assert {load.until / load.workers for load in loads} == {500}
    assert {load.share for load in loads} == {0.1}


def test_by_the_wall_clock_the_queue_is_emptied_and_nobody_is_held():
    assert [(load.until, load.share) for load in wall_loads(2000, (1, 4), 0.0)] == [(2000, None)] * 4
    assert {load.until for load in wall_loads(2000, (1, 4), 20.0)} == {200}


def test_efficiency_is_the_rate_of_n_over_n_times_that_of_one():
    of = {("worker", 1): run(10.0), ("worker", 4): run(30.0)}
    assert efficiency(of, "worker", 4, 1) == 0.75


def test_the_report_names_what_was_measured_and_says_ours_beside_the_peers(capsys):
    report(
        "at equal capacity",
        (1, 4),
        [{("bare", 1): run(20), ("bare", 4): run(60), ("worker", 1): run(10), ("worker", 4): run(36)}],
    )
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "at equal capacity: 4 workers: efficiency 0.90 (0.90-0.90) (goal 0.9), bare loops 0.75 (0.75-0.75), ratio 1.20; "
        "a job takes a worker 1.00 (1.00-1.00) of the CPU that it takes the fewest"
    )
