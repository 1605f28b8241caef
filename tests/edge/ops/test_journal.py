"""Entries as journald receives them, over a real socket."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.ops.journal import LONGEST, JournalHandler, fields, pack
from tests.fakes import Kept
from tests.patience import PATIENCE


def unpack(datagram: bytes) -> dict[str, str]:
    """Read an entry by the protocol's description."""
    entry: dict[str, str] = {}
    while datagram:
        name, separator, rest = datagram.partition(b"\n")
        if b"=" in name:
            key, _, value = name.partition(b"=")
        else:
            assert separator
            key, length = name, int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest.startswith(b"\n")
            rest = rest[1:]
        entry[key.decode()] = value.decode()
        datagram = rest
    return entry


class Journald:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.start()

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(PATIENCE)

    def stop(self) -> None:
        self._socket.close()

    def receive(self) -> dict[str, str]:
        return unpack(self._socket.recv(1 << 20))


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    journald = Journald(tmp_path / "socket")
    yield journald
    journald.stop()


@pytest.fixture
def fallback() -> Kept:
    return Kept()


@pytest.fixture
def log(journald: Journald, fallback: Kept) -> Iterator[logging.Logger]:
    log = logging.Logger("edge.daemon.runtime")
    handler = JournalHandler(journald.path, fallback)
    log.addHandler(handler)
    yield log
    handler.close()


def test_an_event_is_one_entry_with_its_fields(journald: Journald, log: logging.Logger) -> None:
    log.warning(
        "camera %s: %s", "door", "down", extra={"camera": "door", "state": "down", "other": "not told"}
    )
    entry = journald.receive()
    assert entry.pop("CODE_FILE") == __file__
    assert int(entry.pop("CODE_LINE")) > 0
    assert entry == {
        "MESSAGE": "camera door: down",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "instore-edge",
        "LOGGER": "edge.daemon.runtime",
        "THREAD_NAME": "MainThread",
        "CODE_FUNC": "test_an_event_is_one_entry_with_its_fields",
        "INSTORE_CAMERA": "door",
        "INSTORE_STATE": "down",
    }


def test_a_traceback_stays_with_its_event(journald: Journald, log: logging.Logger) -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        log.critical("this is a bug", exc_info=sys.exc_info())
    entry = journald.receive()
    assert entry["PRIORITY"] == "2"
    assert entry["MESSAGE"].startswith("this is a bug\nTraceback")
    assert entry["MESSAGE"].endswith("ValueError: odd")


@pytest.mark.parametrize(
    "text", ["", "=", "a=b", "ä\udcff", "one\ntwo\n", "x" * 10 * LONGEST, "x\n" * LONGEST]
)
def test_any_text_is_carried(journald: Journald, log: logging.Logger, text: str) -> None:
    log.info("%s", text)
    assert journald.receive()["MESSAGE"].encode() == text.encode(errors="backslashreplace")[:LONGEST]


def test_no_text_makes_a_field_of_its_own() -> None:
    record = logging.LogRecord("edge", logging.INFO, "f.py", 1, "x", (), None)
    entry = unpack(pack(fields(record, "one\nPRIORITY=0\nINSTORE_CAMERA=other")))
    assert entry["PRIORITY"] == "6"
    assert "INSTORE_CAMERA" not in entry


def test_a_restart_of_journald_costs_no_event(
    journald: Journald, log: logging.Logger, fallback: Kept
) -> None:
    log.info("before")
    journald.receive()
    journald.stop()
    log.info("while it is away")
    assert fallback.messages == ["while it is away"]
    journald.start()
    log.info("after")
    assert journald.receive()["MESSAGE"] == "after"


def test_nobody_there_is_told(tmp_path: Path, fallback: Kept) -> None:
    with pytest.raises(OSError, match="No such file"):
        JournalHandler(tmp_path / "nowhere", fallback)
