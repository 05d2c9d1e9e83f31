"""The shape of the tree: sizes and names that `style.md` asks for and no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("shared", "services", "deploy", "bench", "tests")
FORBIDDEN = {"utils.py", "helpers.py", "common.py", "misc.py", "base.py"}
LONGEST_FILE, LONGEST_TEST = 300, 400
USUAL_FILE, USUAL_FUNCTION, LONGEST_FUNCTION = 200, 25, 40
ENVIRONMENT = re.compile(r"\bos\.(environ|getenv)\b")


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts]


def lengths(paths: list[Path]) -> dict[str, int]:
    return {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}


def functions(paths: list[Path]) -> Iterator[tuple[str, int]]:
    """Every function with its lines, its docstring not counted."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                is_said = ast.get_docstring(node) is not None and first.end_lineno is not None
                said = first.end_lineno - first.lineno + 1 if is_said else 0
                yield f"{path.relative_to(ROOT)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1 - said


def share_within(limit: int, sizes: list[int]) -> float:
    return sum(size <= limit for size in sizes) / len(sizes)


def test_no_file_is_longer_than_the_limit():
    code = lengths(sources("shared", "services", "deploy", "bench"))
    tests = lengths(sources("tests"))
    assert {name: size for name, size in code.items() if size > LONGEST_FILE} == {}
    assert {name: size for name, size in tests.items() if size > LONGEST_TEST} == {}


def test_nine_files_in_ten_have_at_most_two_hundred_lines():
    assert share_within(USUAL_FILE, list(lengths(sources("shared", "services", "deploy", "bench")).values())) >= 0.9


def test_no_function_is_longer_than_the_limit():
    assert {name: size for name, size in functions(sources(*FOLDERS)) if size > LONGEST_FUNCTION} == {}


def test_nine_functions_in_ten_have_at_most_twenty_five_lines():
    assert share_within(USUAL_FUNCTION, [size for _, size in functions(sources(*FOLDERS))]) >= 0.9


def test_no_file_has_a_name_that_says_nothing():
    assert [path for path in sources(*FOLDERS) if path.name in FORBIDDEN] == []


@pytest.mark.parametrize("folder", ["shared", "services"])
def test_the_environment_is_read_only_where_settings_are(folder):
    readers = [path for path in sources(folder) if ENVIRONMENT.search(path.read_text(encoding="utf-8"))]
    assert [path for path in readers if path.name != "settings.py"] == []


def test_every_package_says_what_it_is_for():
    bare = [path for path in sources("shared", "services", "deploy") if ast.get_docstring(ast.parse(path.read_text())) is None]
    assert bare == []
