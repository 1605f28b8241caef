"""Log lines: no secret in them, and a level that journald reads."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.logs import LineFormatter

URL = "rtsp://admin:hunter2@192.0.2.10/stream"


def record(
    level: int, message: str, *arguments: object, error: BaseException | None = None
) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("edge", level, __file__, 1, message, arguments, info)


def test_credentials_are_masked_in_messages_and_arguments():
    line = LineFormatter(journal=False).format(record(logging.INFO, "open %s", URL))
    assert line.endswith("INFO    open rtsp://***@192.0.2.10/stream")


def test_credentials_are_masked_in_tracebacks():
    try:
        try:
            raise ValueError(f"cannot open {URL}")
        except ValueError as cause:
            raise RuntimeError(f"gave up on {URL}") from cause
    except RuntimeError as error:
        text = LineFormatter(journal=False).format(record(logging.ERROR, "failed", error=error))
    assert "Traceback" in text
    assert text.count("***@192.0.2.10") == 2
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, 7),
        (logging.INFO, 6),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
        (25, 6),
    ],
)
def test_journald_reads_the_level_of_every_line(level: int, priority: int):
    text = LineFormatter(journal=True).format(record(level, "one\ntwo"))
    assert text == f"<{priority}>one\n<{priority}>two"


def test_lines_elsewhere_bear_time_and_level():
    line = LineFormatter(journal=False).format(record(logging.WARNING, "dark"))
    stamp, level, message = line.split(maxsplit=2)
    assert len(stamp) == len("2026-01-31T08:00:00+0000")
    assert (level, message) == ("WARNING", "dark")


SCRIPT = """
import logging, os, sys
from edge.logs import set_up
if sys.argv[2] == "same":
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
elif sys.argv[2] == "other":
    os.environ["JOURNAL_STREAM"] = "8:12345"
set_up(sys.argv[1])
logging.getLogger("x").info("from Python")
logging.getLogger("x").debug("detail")
os.write(2, b"from a library")
"""


def logged(level: str, journal: str) -> str:
    """What a process that logs at `level` leaves on standard error."""
    root = Path(__file__).parents[2]
    environment = {k: v for k, v in os.environ.items() if k != "JOURNAL_STREAM"}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, level, journal],
        capture_output=True, text=True, check=True, cwd=root, env=environment,
    ).stderr  # fmt: skip


def test_native_libraries_are_silent_and_python_is_not():
    text = logged("info", "none")
    assert text.endswith("INFO    from Python\n")
    assert len(text.splitlines()) == 1


def test_everything_is_told_at_debug():
    text = logged("debug", "none")
    assert "DEBUG   detail" in text
    assert "from a library" in text


def test_levels_are_for_journald_only_where_it_reads():
    assert logged("info", "same") == "<6>from Python\n"
    # A shell below a service has the variable too, but a terminal of its own.
    assert logged("info", "other").endswith("INFO    from Python\n")
