"""Logs: one line an event, never a secret; journald's levels under systemd, plain text elsewhere."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from typing import TextIO

from edge.redact import redact

LEVELS = ("debug", "info", "warning", "error")

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class LineFormatter(logging.Formatter):
    """One line for each event, with any credentials in it masked; tracebacks keep their lines."""

    def __init__(self, *, journal: bool) -> None:
        # journald stamps the time itself and reads the level from a `<n>` before the text, see sd-daemon(3).
        layout = "%(message)s" if journal else "%(asctime)s %(levelname)-7s %(message)s"
        super().__init__(layout, datefmt="%Y-%m-%dT%H:%M:%S%z")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = redact(super().format(record))
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>" if self._journal else ""
        return "\n".join(prefix + line for line in text.splitlines())


def set_up(level: str) -> None:
    """Log to standard error from `level` on."""
    stream = sys.stderr if level == "debug" else _silence_native_libraries()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(journal=_is_journal(stream, os.environ.get("JOURNAL_STREAM", ""))))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _is_journal(stream: TextIO, named: str) -> bool:
    """Whether `stream` is the one that `$JOURNAL_STREAM` names as `device:inode`.

    Whatever runs below a service inherits the variable, a shell on a desktop too: see systemd.exec(5).
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def _silence_native_libraries() -> TextIO:
    """Keep standard error for Python alone, and return it.

    FFmpeg, LiteRT and MediaPipe write to file descriptor 2 themselves: dozens of lines at every start, and
    what FFmpeg prints may hold a camera's URL. At level `debug` they are left to.
    """
    try:
        own = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):
        return sys.stderr  # captured by a test, or closed: nothing to keep apart
    sys.stderr = os.fdopen(own, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    faulthandler.enable(sys.stderr)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return sys.stderr
