"""Log lines: no secret in them, and a level that journald reads."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config import redaction as redact
from edge.ops.logs import LineFormatter
from tests.patience import PATIENCE

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
import logging, os, pathlib, sys
from edge.ops import journal
from edge.ops.logs import complain, set_up
journal.SOCKET = pathlib.Path(sys.argv[3])
if sys.argv[2] == "same":
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
elif sys.argv[2] == "other":
    os.environ["JOURNAL_STREAM"] = "8:12345"
set_up(sys.argv[1])
logging.getLogger("x").info("from Python")
logging.getLogger("x").debug("detail")
os.write(2, b"from a library")
if len(sys.argv) > 4:
    complain(sys.argv[4])
"""


def logged(level: str, journal: str, *arguments: str, socket: str = "/nonexistent") -> str:
    """What a process that logs at `level` leaves on standard error, and complains of at its end."""
    root = Path(__file__).parents[3]
    environment = {k: v for k, v in os.environ.items() if k != "JOURNAL_STREAM"}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, level, journal, socket, *arguments],
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


def test_journald_gets_entries_where_it_listens(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "socket"))
        journald.settimeout(PATIENCE)
        said = logged("info", "same", "site: wrong\nbox: wrong", socket=str(tmp_path / "socket"))
        entries = [journald.recv(1 << 16).decode() for _ in range(3)]
    assert said == ""
    assert [entry.splitlines()[:2] for entry in entries] == [
        ["MESSAGE=from Python", "PRIORITY=6"],
        ["MESSAGE=site: wrong", "PRIORITY=3"],
        ["MESSAGE=box: wrong", "PRIORITY=3"],
    ]


def test_faults_of_the_user_are_told_plainly_elsewhere():
    assert logged("info", "none", "site: wrong\nbox: wrong").splitlines()[1:] == [
        "instore-edge: site: wrong",
        "instore-edge: box: wrong",
    ]


def test_a_secret_that_was_read_is_masked_wherever_it_comes_up():
    redact.keep_secret("hunter 2/@")
    redact.keep_secret("abc")
    formatter = LineFormatter(journal=True)
    assert formatter.format(record(logging.INFO, "x hunter 2/@ y")) == "<6>x *** y"
    assert formatter.format(record(logging.INFO, "hunter%202%2F%40 abc")) == "<6>*** abc"
