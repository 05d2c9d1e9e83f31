"""Reads the documents as the tests compare them: the cells of the tables under a heading."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NOTHING = "\N{EN DASH}"  # an empty cell


def section_of(path: Path, heading: str) -> str:
    """Return what stands under `heading`, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{path.name} has no heading {heading!r}"
    return found[1]


def rows_under(path: Path, heading: str) -> list[tuple[str, ...]]:
    """Return the rows of every table under `heading`, head and rule left out."""
    lines = section_of(path, heading).splitlines()
    rules = {number for number, line in enumerate(lines) if re.fullmatch(r"[|\- ]+", line) and "-" in line}
    heads = {number - 1 for number in rules}
    return [
        tuple(cell.strip() for cell in line.strip("| ").split(" | "))
        for number, line in enumerate(lines)
        if line.startswith("|") and number not in rules | heads
    ]
