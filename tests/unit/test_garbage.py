"""How often a service looks for garbage; each test in an interpreter of its own."""

import subprocess
import sys
from pathlib import Path

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


def test_garbage_that_holds_itself_is_still_found_after_some_thousand_objects():
    found = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 5_000 < int(found.stdout) < 100_000
