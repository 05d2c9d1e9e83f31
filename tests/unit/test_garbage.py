"""How often a service looks for garbage, and what it does with memory; each test in an interpreter of its own."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import gc, weakref
from shared.garbage import settle

class Node:
    pass

settle()
assert gc.get_freeze_count() > 1000, "what was there is passed over"

def a_ring():
    node = Node()
    node.me = node
    return weakref.ref(node)

ring = a_ring()
for number in range(1, 100_000):
    kept = [[] for _ in range(100)]
    more = globals().setdefault("more", [])
    more.append(kept)
    if ring() is None:
        break
print(number * 101)
"""

BODIES = """
import resource
from shared.garbage import settle

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        bodies = [bytearray(300_000) for _ in range(3)]
        del bodies
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

page_faults()
by_default = page_faults()
settle()
page_faults()
print(by_default, page_faults())
"""

MUCH = """
from shared.garbage import settle

def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

at_first = resident_bytes()

def kept_of_much():
    pieces = [bytearray(100_000) for _ in range(2_000)]
    assert resident_bytes() - at_first > 190_000_000
    del pieces
    return resident_bytes() - at_first

by_default = kept_of_much()
settle()
print(by_default, kept_of_much())
"""


def test_garbage_that_holds_itself_is_still_found_after_some_thousand_objects() -> None:
    (looked_after,) = _numbers(PROGRAM)
    assert 5_000 < looked_after < 100_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tells glibc's allocator what to do")
def test_memory_of_one_body_is_used_for_the_next_without_going_back_to_the_system() -> None:
    by_default, settled = _numbers(BODIES)
    assert settled < 100 < by_default


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tells glibc's allocator what to do")
def test_of_much_memory_that_is_freed_little_more_is_kept_than_by_default() -> None:
    by_default, settled = _numbers(MUCH)
    assert settled < by_default + 33 * 1024 * 1024


def _numbers(program: str) -> list[int]:
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return [int(number) for number in ended.stdout.split()]
