"""Every place that lets FFmpeg read a file says what it may take it for: left to itself it also follows lists of other files."""

import ast

import pytest

from tests.unit.test_tree import ROOT, sources

MAGIC = "shared.domain.magic"


def unguarded(code):
    """The lines on which FFmpeg may be given a file to read without `options=READERS`, or where that could not be seen."""
    nodes = list(ast.walk(ast.parse(code)))
    known = any(isinstance(node, ast.ImportFrom) and node.module == MAGIC and names(node, "READERS") for node in nodes)
    right = {id(node.func) for node in nodes if isinstance(node, ast.Call) and (writes(node) or (known and is_bounded(node)))}
    return sorted({node.lineno for node in nodes if hides(node) or (opens(node) and id(node) not in right)})


def names(node, *wanted):
    """Whether an import brings one of these in under its own name or another."""
    return any(alias.name in wanted for alias in node.names)


def hides(node):
    """`av` under another name, its `open` without `av`, and faster-whisper's reader, which is FFmpeg without bounds."""
    if isinstance(node, ast.Import):
        return any(alias.asname is not None and alias.name.split(".")[0] == "av" for alias in node.names)
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return False
    of_av = node.module.split(".")[0] == "av" and names(node, "open", "container", "core", "*")
    return of_av or node.module == "faster_whisper.audio" or (node.module == "faster_whisper" and names(node, "decode_audio"))


def opens(node):
    """`av.open`, by whatever way from `av`."""
    if not isinstance(node, ast.Attribute) or node.attr != "open":
        return False
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id == "av"


def writes(call):
    modes = [*call.args[1:2], *(given.value for given in call.keywords if given.arg == "mode")]
    return [mode.value for mode in modes if isinstance(mode, ast.Constant)] == ["w"]


def is_bounded(call):
    options = [given.value for given in call.keywords if given.arg == "options"]
    return [node.id for node in options if isinstance(node, ast.Name)] == ["READERS"]


def test_a_file_is_read_only_as_what_the_closed_list_names():
    found = {path.relative_to(ROOT): unguarded(path.read_text(encoding="utf-8")) for path in sources("services", "shared")}
    assert {path: lines for path, lines in found.items() if lines} == {}


IMPORTS = f"import av\nfrom {MAGIC} import READERS\n"


@pytest.mark.parametrize(
    "call",
    [
        "av.open(str(path), options=READERS)",
        "with av.open(path, mode='r', options=READERS, metadata_errors='ignore') as container: pass",
        "av.open(path, 'w', format='flac')",
        "av.open(path, mode='w')",
        "path.open('rb')",
    ],
)
def test_what_is_bounded_or_writes_passes(call):
    assert unguarded(IMPORTS + call) == []


@pytest.mark.parametrize(
    "code",
    [
        f"{IMPORTS}av.open(path)",
        f"{IMPORTS}av.open(path, 'r', metadata_errors='ignore')",
        f"{IMPORTS}av.open(path, mode=mode)",
        f"{IMPORTS}av.open(path, options={{}})",
        f"{IMPORTS}av.open(path, options=READERS | more)",
        f"{IMPORTS}av.container.open(path)",
        f"{IMPORTS}read = av.open",
        f"{IMPORTS}partial(av.open, options=READERS)",
        "import av\nREADERS = {}\nav.open(path, options=READERS)",
        "import av as media",
        "from av import open",
        "from av.container import open as read",
        "from av.container.core import open",
        "from faster_whisper import decode_audio",
        "from faster_whisper.audio import decode_audio",
    ],
)
def test_what_is_not_or_cannot_be_followed_is_found(code):
    assert len(unguarded(code)) == 1
