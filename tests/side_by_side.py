"""How tests are shared out when several processes of pytest run them side by side, as `make test` lets them."""

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from deploy.local.servers import ports

LAYERS = ("e2e", "integration", "component", "contract", "unit")
"""The longest files first: the short ones at the end leave nobody waiting long for another's last file."""


class ByFile(LoadFileScheduling):
    """Gives a file to whoever is free; the end-to-end tests count as one: they share platforms and hold them to deadlines."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/e2e" if nodeid.startswith("tests/e2e/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: next((n for n, layer in enumerate(LAYERS) if f"/{layer}/" in item.nodeid), len(LAYERS)))


def keep_to_own_ports() -> None:
    """See to it that no two processes side by side take the same port for servers that they start."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if worker and count:
        ports.keep_to(int(worker.removeprefix("gw")) % int(count), int(count))
