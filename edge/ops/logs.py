"""Logging: one line for each event, secrets masked; journald entries under systemd, plain text elsewhere."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from typing import TextIO

from edge.config.redaction import redact
from edge.ops import journal
from edge.ops.log_throttle import LogThrottle

LEVELS = ("debug", "info", "warning", "error")


class LineFormatter(logging.Formatter):
    """One line for each event, with any credentials in it masked; tracebacks keep their lines."""

    def __init__(self, *, journal: bool) -> None:
        # journald stamps the time itself and reads the level from a `<n>` before the text, see sd-daemon(3).
        layout = "%(message)s" if journal else "%(asctime)s %(levelname)-7s %(message)s"
        super().__init__(layout, datefmt="%Y-%m-%dT%H:%M:%S%z")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = redact(super().format(record))
        prefix = f"<{journal.PRIORITIES.get(record.levelno, 6)}>" if self._journal else ""
        return "\n".join(prefix + line for line in text.splitlines())


class EntryFormatter(logging.Formatter):
    """The text of a journal's entry: the message and the traceback, with any credentials in them masked."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def set_up(level: str) -> None:
    """Log from `level` on: to journald if standard error goes there, else to standard error.

    At `debug` every event is logged; at other levels repeated ones are limited, see `LogThrottle`.
    """
    stream = sys.stderr if level == "debug" else _silence_native_libraries()
    handler = _handler(stream)
    logging.basicConfig(
        level=level.upper(), handlers=[handler if level == "debug" else LogThrottle(handler)], force=True
    )


def set_level(level: str) -> None:
    """Log from `level` on, from now on. Native libraries stay as silent as `set_up` made them."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    for handler in root.handlers:
        if isinstance(handler, LogThrottle):
            handler.passes_all = level == "debug"


def complain(message: str) -> None:
    """Print why a command failed, one line for each fault: in red on a terminal, as errors in the journal."""
    text = redact(message)
    if _is_journal(sys.stderr, os.environ.get("JOURNAL_STREAM", "")):
        for line in text.splitlines():
            logging.getLogger("edge").error("%s", line)
        return
    red, plain = ("\x1b[31m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
    for line in text.splitlines():
        sys.stderr.write(f"{red}instore-edge:{plain} {line}\n")


def _handler(stream: TextIO) -> logging.Handler:
    in_journal = _is_journal(stream, os.environ.get("JOURNAL_STREAM", ""))
    lines = logging.StreamHandler(stream)
    lines.setFormatter(LineFormatter(journal=in_journal))
    if not in_journal:
        return lines
    try:
        entries = journal.JournalHandler(journal.SOCKET, lines)
    except OSError:  # no journald, or no access to it; it also reads levels from the lines
        return lines
    entries.setFormatter(EntryFormatter())
    return entries


def _is_journal(stream: TextIO, named: str) -> bool:
    """Whether `stream` is the one that `$JOURNAL_STREAM` names as `device:inode`.

    The variable alone says little: every child of a service inherits it, also a desktop's shell
    (systemd.exec(5)).
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def _silence_native_libraries() -> TextIO:
    """Keep standard error for Python only, and return it.

    FFmpeg, LiteRT and MediaPipe write to file descriptor 2 themselves: dozens of lines at each start, and
    those of FFmpeg may hold a camera's URL. At level `debug` they may.
    """
    try:
        own = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):
        return sys.stderr  # captured by a test, or closed: nothing to separate
    sys.stderr = os.fdopen(own, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    faulthandler.enable(sys.stderr)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return sys.stderr
