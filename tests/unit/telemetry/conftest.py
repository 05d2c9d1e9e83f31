import io
import logging
from collections.abc import Callable, Iterator

import msgspec
import pytest

from shared.telemetry.logs import configure_logging, flush_lines, get_logger


@pytest.fixture
def output() -> io.BytesIO:
    """Return where the log lines of the test go."""
    return io.BytesIO()


@pytest.fixture
def lines(output) -> Iterator[Callable[[], list[dict]]]:
    """Configure logging for the test; call it for the lines written so far, decoded."""
    root, log = logging.getLogger(), get_logger()
    handlers, level = root.handlers[:], root.level
    threshold, write = log.threshold, log.write
    configure_logging("tester", "INFO", output)

    def written() -> list[dict]:
        flush_lines()
        return [msgspec.json.decode(line) for line in output.getvalue().splitlines()]

    yield written
    log.threshold, log.write = threshold, write
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
