"""Log lines: what stands in each, what outcome a wide line tells, and that logging itself never fails."""

import asyncio
import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import msgspec
import pytest

from shared.domain.errors import FailureReason, PermanentFailure, TransientFailure
from shared.telemetry.logs import bind, bound_fields, configure_logging, get_logger, wide_event

DEADLINE_S = 10

log = get_logger()  # taken at import, before logging is configured


def test_a_line_says_when_how_grave_what_and_who(lines):
    log.info("service.started", port=8080)
    (line,) = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": "info", "event": "service.started", "service": "tester", "port": 8080}


def test_lines_below_the_level_are_left_out(lines):
    log.debug("detail")
    assert lines() == []


def test_the_last_configuration_counts(lines, output):
    log.info("first")
    configure_logging("renamed", "DEBUG", output)
    log.debug("second")
    assert [(line["service"], line["event"]) for line in lines()] == [("tester", "first"), ("renamed", "second")]


def test_a_library_speaks_in_the_same_form_and_only_from_warning_on(lines):
    logging.getLogger("aiokafka").info("chatter")
    logging.getLogger("aiokafka").warning("lost %s of %d", "one", 3)
    (line,) = lines()
    assert (line["level"], line["event"], line["service"], line["logger"]) == ("warning", "lost one of 3", "tester", "aiokafka")


def test_a_library_record_whose_arguments_do_not_fit_is_still_written(lines, output):
    configure_logging("tester", "INFO", output)  # again: the test runner's own handler would fail on this record
    logging.getLogger("aiokafka").warning("%d of %d", *["one"])
    assert lines()[0]["event"] == "%d of %d"


def test_python_warnings_are_log_lines(lines):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old habit", UserWarning, stacklevel=1)
    assert "old habit" in lines()[0]["event"]


def test_the_access_log_of_uvicorn_is_off(lines):
    logging.getLogger("uvicorn.access").error("GET /v1/chunks/up_secretsecret 200")
    assert lines() == []


def test_an_exception_leaves_its_type_message_and_stack(lines):
    try:
        {}["absent"]
    except KeyError:
        log.exception("lookup.failed")
    (line,) = lines()
    assert (line["level"], line["error"], line["error_message"]) == ("error", "KeyError", "'absent'")
    assert "test_logs.py" in line["stack"]


def test_a_library_exception_leaves_its_type_too(lines):
    try:
        {}["absent"]
    except KeyError:
        logging.getLogger("motor").exception("gave up")
    assert lines()[0]["error"] == "KeyError"


def test_a_wide_line_tells_what_the_block_found_and_how_long_it_took(lines):
    with wide_event(log, "stitch", recording_id="rec_1") as line:
        line["chunk_count"] = 8
    (written,) = lines()
    assert (written["event"], written["level"], written["outcome"]) == ("stitch.done", "info", "ok")
    assert (written["recording_id"], written["chunk_count"]) == ("rec_1", 8)
    assert 0 <= written["duration_ms"] < 1000


def test_a_wide_line_keeps_the_outcome_that_the_block_chose(lines):
    with wide_event(log, "stitch") as line:
        line["outcome"] = "skipped"
    assert lines()[0]["outcome"] == "skipped"


def test_an_unexpected_error_is_told_with_its_stack_and_passes_through(lines):
    with pytest.raises(ZeroDivisionError), wide_event(log, "stitch"):
        1 / 0  # noqa: B018
    (line,) = lines()
    assert (line["outcome"], line["level"], line["error"]) == ("error", "error", "ZeroDivisionError")
    assert "stack" in line


def test_an_expected_failure_is_a_warning_without_a_stack(lines):
    with pytest.raises(TransientFailure), wide_event(log, "stitch"):
        raise TransientFailure("the store is away")
    with pytest.raises(PermanentFailure), wide_event(log, "stitch"):
        raise PermanentFailure(FailureReason.CHUNK_EMPTY, "chunk 3 is empty")
    first, second = lines()
    assert (first["level"], first["error"], "stack" in first) == ("warning", "TransientFailure", False)
    assert (second["reason"], second["error_message"]) == ("chunk_empty", "chunk 3 is empty")


async def test_a_cancelled_block_says_so(lines):
    async def work() -> None:
        with wide_event(log, "stitch"):
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(line["outcome"], line["level"]) for line in lines()] == [("cancelled", "info")]


def test_a_block_may_write_keys_that_every_line_has(lines):
    with wide_event(log, "stitch") as line:
        line |= {"event": "recording.uploaded", "level": "loud", "service": "other", "time": "noon"}
    (written,) = lines()
    assert (written["event"], written["level"], written["service"]) == ("stitch.done", "info", "tester")


def test_bound_fields_are_on_every_line_until_the_binding_ends(lines):
    with bind(event_id="evt_1", attempt=2):
        with bind(attempt=3):
            log.info("inner")
        log.info("outer", event_id="evt_2")
    log.info("after")
    inner, outer, after = lines()
    assert (inner["event_id"], inner["attempt"]) == ("evt_1", 3)
    assert (outer["event_id"], outer["attempt"]) == ("evt_2", 2)
    assert "attempt" not in after
    assert dict(bound_fields()) == {}


async def test_what_one_task_binds_another_does_not_see(lines):
    async def work(number: int) -> None:
        bind(number=number)
        await asyncio.sleep(0)
        log.info("worked", expected=number)

    await asyncio.gather(work(1), work(2))
    assert all(line["number"] == line["expected"] for line in lines())


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"\xff", 2**80, "\ud800", float("nan"), ValueError("x"), [object()], {1: object()}]
)
def test_a_value_of_any_kind_is_written_somehow(lines, value):
    log.info("odd", value=value)
    (line,) = lines()
    assert (line["event"], line["service"]) == ("odd", "tester")


def test_a_value_that_contains_itself_is_written_somehow(lines):
    cyclic: dict[str, object] = {"password": "hunter2"}
    cyclic["self"] = cyclic
    log.info("odd", value=cyclic, token="hunter2", kept="kept")
    (line,) = lines()
    assert line["kept"] == "'kept'"
    assert "hunter2" not in str(line)


def test_secrets_do_not_reach_a_line_by_any_way(lines):
    with bind(authorization="Bearer hunter2hunter2"):
        log.info("created", api_key="hunter2", url="http://127.0.0.1/v1/chunks/up_hunter2hunter2hunter2/1")
    with pytest.raises(ValueError, match="sk_live"), wide_event(log, "call"):
        raise ValueError("refused sk_live_hunter2hunter2hunter2")
    assert "hunter2" not in str(lines())


async def test_what_went_well_is_gathered_and_written_soon(lines, output):
    log.info("first")
    log.info("second")
    assert output.getvalue() == b""
    async with asyncio.timeout(DEADLINE_S):
        while not output.getvalue():
            await asyncio.sleep(0)
    assert [line["event"] for line in lines()] == ["first", "second"]


async def test_what_went_wrong_is_written_at_once_after_all_that_was_said_before(lines, output):
    log.info("before")
    log.warning("amiss")
    assert [msgspec.json.decode(line)["event"] for line in output.getvalue().splitlines()] == ["before", "amiss"]
    log.info("between")
    logging.getLogger("motor").error("gone")
    assert output.getvalue().count(b"\n") == 4


async def test_a_thread_beside_the_loop_writes_at_once_and_in_order(lines, output):
    log.info("from the loop")
    await asyncio.to_thread(log.info, "from a thread")
    assert [msgspec.json.decode(line)["event"] for line in output.getvalue().splitlines()] == ["from the loop", "from a thread"]


def test_what_waits_when_its_loop_ends_is_written_by_the_next(lines, output):
    async def say(event: str) -> None:
        log.info(event)

    asyncio.run(say("first"))
    asyncio.run(say("second"))
    assert output.getvalue() == b""
    log.info("third")
    assert [msgspec.json.decode(line)["event"] for line in output.getvalue().splitlines()] == ["first", "second", "third"]


async def test_a_new_configuration_leaves_nothing_behind(lines, output):
    log.info("first")
    configure_logging("renamed", "INFO", output)
    assert [line["event"] for line in lines()] == ["first"]


def test_what_a_full_disk_does_not_take_is_lost_and_fails_nobody(lines):
    with Path("/dev/full").open("wb") as full:
        configure_logging("tester", "INFO", full)
        log.error("amiss")
        logging.getLogger("aiokafka").error("amiss, too")
    assert lines() == []


def test_lines_after_one_that_broke_off_are_whole(lines):
    told, telling = os.pipe()
    os.set_blocking(telling, False)
    with os.fdopen(telling, "wb") as output, os.fdopen(told, "rb", buffering=0) as reader:
        configure_logging("tester", "INFO", output)
        for _ in range(50):  # more than a pipe holds, each more than it takes whole or not at all
            log.error("before", padding=9_000 * "x")
        torn = reader.read(1 << 20)
        log.error("after")
        log.error("after", again=True)
        after = reader.read(1 << 20)
    assert not torn.endswith(b"\n")
    assert after.startswith(b"\n")
    assert [msgspec.json.decode(line)["event"] for line in after.splitlines()[1:]] == ["after", "after"]


def test_a_process_that_ends_writes_what_waits():
    program = (
        "import asyncio; from shared.telemetry.logs import configure_logging, get_logger\n"
        "configure_logging('tester', 'INFO')\n"
        "async def say(): get_logger().info('last.words')\n"
        "asyncio.run(say())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert msgspec.json.decode(ended.stdout)["event"] == "last.words"


def test_a_process_without_standard_output_goes_on():
    program = "from shared.telemetry.logs import configure_logging, get_logger; configure_logging('tester', 'INFO')\n"
    said = program + "get_logger().error('amiss'); raise SystemExit(7)"
    closed = ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, said]
    ended = subprocess.run(closed, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (7, b"")
