"""What the code imports is what pyproject.toml pins, per service; nothing is there by another package's grace."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"shared", "services", "deploy", "bench", "tests"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = packages_distributions()
WITH_S3 = ("ingest", "stitcher", "transcriber")


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(extra):
    """The packages of an extra and of those it names, each with its version."""
    found = {}
    for line in PROJECT["optional-dependencies"][extra]:
        if inner := re.fullmatch(r"earwitness\[(.*)\]", line):
            found |= {name: version for one in inner[1].split(",") for name, version in pinned(one).items()}
        else:
            found |= pins([line])
    return found


def pins(lines):
    return {normal(match[1]): match[2] for line in lines if (match := re.match(r"([A-Za-z0-9_.-]+)(?:\[.*\])?==([^;\s]+)", line))}


def imported(folder):
    """The packages that a folder's code imports."""
    local = {path.stem for path in (ROOT / folder).rglob("*.py")}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for top in {name.partition(".")[0] for name in names} - OURS - sys.stdlib_module_names:
                if top in DISTRIBUTIONS or top not in local:
                    yield normal(DISTRIBUTIONS.get(top, [top])[0])


BASE = pins(PROJECT["dependencies"])


@pytest.mark.parametrize("service", [*WITH_S3, "webhooks"])
def test_a_service_pins_what_it_imports(service):
    assert set(imported(f"services/{service}")) <= {*BASE, *pinned(service)}


@pytest.mark.parametrize("service", WITH_S3)
def test_what_the_services_share_is_pinned_by_each(service):
    assert set(imported("shared")) <= {*BASE, *pinned(service)}


@pytest.mark.parametrize("folder", ["tests", "deploy", "bench"])
def test_tests_the_local_runner_and_benchmarks_pin_what_they_import(folder):
    assert set(imported(folder)) <= {*BASE, *pinned("dev")}


def test_the_local_runner_stands_on_its_own():
    assert set(imported("deploy/local")) <= {*BASE, *pinned("local")}


@pytest.mark.parametrize("extra", [*WITH_S3, "webhooks", "dev"])
def test_the_compiled_requirements_hold_every_pin_with_its_hashes_and_no_place(extra):
    text = (ROOT / f"requirements/{extra}.txt").read_text(encoding="utf-8")
    compiled = pins(text.splitlines())
    assert (BASE | pinned(extra)).items() <= compiled.items()
    assert text.count("--hash=sha256:") >= len(compiled)
    assert "://" not in text
    assert " @ " not in text
