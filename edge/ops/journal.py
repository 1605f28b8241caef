"""journald in its own protocol: one entry an event, with its level and fields, traceback and all.

`journalctl -u instore-edge INSTORE_CAMERA=entrance` finds what one camera did, `-p warning` what went wrong.
The protocol is described at systemd.io/JOURNAL_NATIVE_PROTOCOL.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Levels as syslog has them, by those of `logging`."""

FIELDS = ("camera", "state", "failure")
"""What callers say of an event by `extra=`, as INSTORE_CAMERA and so on; by these names only."""

LONGEST = 48 * 1024
"""Bytes of a field: all of an entry must fit into a datagram."""

_TIMEOUT = 1.0  # seconds: a journal that hangs must not hold up the daemon


class JournalHandler(logging.Handler):
    """Sends every record as one entry; what cannot be sent goes to `fallback`."""

    def __init__(self, path: Path, fallback: logging.Handler) -> None:
        """Raises OSError where nobody listens at `path`."""
        super().__init__()
        self._fallback = fallback
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = str(path)
        try:
            self._socket.settimeout(_TIMEOUT)
            self._socket.connect(self._path)
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        entry = pack(fields(record, self.format(record)))
        try:
            self._socket.send(entry)
        except OSError:
            self._again(entry, record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _again(self, entry: bytes, record: logging.LogRecord) -> None:
        """journald was restarted and has a new socket, or is gone."""
        try:
            self._socket.connect(self._path)
            self._socket.send(entry)
        except OSError:
            self._fallback.handle(record)


def fields(record: logging.LogRecord, message: str) -> dict[str, str]:
    """The fields of a record's entry. message: its text, without secrets."""
    given = {name: getattr(record, name, None) for name in FIELDS}
    return {
        "MESSAGE": message,
        "PRIORITY": str(PRIORITIES.get(record.levelno, 6)),
        "SYSLOG_IDENTIFIER": "instore-edge",
        "LOGGER": record.name,
        "THREAD_NAME": str(record.threadName),
        "CODE_FILE": record.pathname,
        "CODE_LINE": str(record.lineno),
        "CODE_FUNC": str(record.funcName),
        **{f"INSTORE_{name.upper()}": str(value) for name, value in given.items() if value is not None},
    }


def pack(entry: Mapping[str, str]) -> bytes:
    """`NAME=value` lines; a value of several lines follows its name and its length, 64 bits little-endian."""
    parts = []
    for name, text in entry.items():
        value = text.encode(errors="backslashreplace")[:LONGEST]
        if b"\n" in value:
            parts.append(name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n")
        else:
            parts.append(name.encode() + b"=" + value + b"\n")
    return b"".join(parts)
