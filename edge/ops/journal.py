"""Log records to journald in its native protocol: one entry for each, with level, fields and traceback.

`journalctl -u instore-edge INSTORE_CAMERA=entrance` shows the events of one camera, `-p warning` the faults.
The protocol is described at systemd.io/JOURNAL_NATIVE_PROTOCOL.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""The levels of syslog by those of `logging`."""

FIELDS = ("camera", "state", "failure")
"""The names that callers may pass in `extra=`; each becomes a field such as INSTORE_CAMERA."""

LONGEST = 48 * 1024
"""The most bytes of a field: a whole entry must fit into one datagram."""

_TIMEOUT = 1.0  # seconds: a journal that hangs must not stop the daemon


class JournalHandler(logging.Handler):
    """Sends each record as one entry; a record that cannot be sent goes to `fallback`."""

    def __init__(self, path: Path, fallback: logging.Handler) -> None:
        """path: the socket of journald. Raises OSError if nothing listens there."""
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
            self._reconnect(entry, record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _reconnect(self, entry: bytes, record: logging.LogRecord) -> None:
        """Send to the new socket of a journald that was restarted; without one, use the fallback."""
        try:
            self._socket.connect(self._path)
            self._socket.send(entry)
        except OSError:
            self._fallback.handle(record)


def fields(record: logging.LogRecord, message: str) -> dict[str, str]:
    """The fields of the entry for a record. message: its text, with secrets already masked."""
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
    """The bytes of an entry: `NAME=value` lines; for a value of several lines, the name, the length as 64
    bits little-endian, then the value.
    """
    parts = []
    for name, text in entry.items():
        value = text.encode(errors="backslashreplace")[:LONGEST]
        if b"\n" in value:
            parts.append(name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n")
        else:
            parts.append(name.encode() + b"=" + value + b"\n")
    return b"".join(parts)
