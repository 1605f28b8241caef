"""The history holds what left the box, all of it and nothing else, for its days and within its bytes."""

from __future__ import annotations

import json
import random
import sqlite3
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.delivery.history import History, Message, Reader, Recorder
from edge.delivery.history import file as file_module
from edge.delivery.outbox import Outbox, Row
from edge.errors import ConfigurationError, OutsideError
from edge.ops.reasons import OutboxFault
from edge.release.gate import Gate
from tests.fakes import ManualClock
from tests.gates import MIDNIGHT, TOPICS, rule, window

LATER = MIDNIGHT + timedelta(days=9)


class Rig:
    """A gate on an outbox, and its history; `reopen` stands in for a restart."""

    def __init__(self, folder: Path, days: int = 400, max_bytes: int = 1 << 30) -> None:
        self.folder, self.days, self.max_bytes = folder, days, max_bytes
        self.clock = ManualClock()
        self.failures = 0
        self.set_aside: list[OutboxFault] = []
        self.outbox = Outbox(folder / "outbox.db", 10_000, 1 << 30, self.clock, sync=False)
        self.open()

    def open(self) -> None:
        self.history = History(
            self.folder / "history.db", self.days, self.max_bytes, self.clock, self.set_aside.append
        )
        self.recorder = Recorder(self.outbox, self.history, self.fail)
        self.reader = Reader(self.folder / "history.db")
        self.gate = Gate(self.recorder, rule(), TOPICS, random.Random(1).randrange)
        self.at = getattr(self, "at", MIDNIGHT)

    def reopen(self) -> None:
        self.history.close()
        self.open()

    def fail(self) -> None:
        self.failures += 1

    def close_window(self, visits: int = 0) -> None:
        self.gate.put(window(self.at, {"18-64": visits} if visits else None))
        self.at += timedelta(minutes=5)

    def sent(self) -> list[bytes]:
        return [row.payload for row in self.outbox.pending(0, 10_000)]

    def kept(self, kind: str, since: datetime = MIDNIGHT, until: datetime = LATER) -> list[Message]:
        return list(self.reader.messages(kind, since, until))


def row(number: int) -> Row:
    """A row of the outbox that was stored in a second of its own."""
    at = MIDNIGHT + timedelta(seconds=number)
    times = {"start": at.isoformat(), "end": (at + timedelta(seconds=1)).isoformat()}
    payload = json.dumps({**times, "note": number}).encode()
    return Row(number, "instore/store/door/all/counts", str(number), number, payload, at)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.history.close()
    made.outbox.close()


def test_it_holds_every_message_that_left_as_it_was_published(rig: Rig) -> None:
    for _ in range(7):
        rig.close_window(visits=3)
    sent = [json.loads(payload) for payload in rig.sent()]
    kept = [message.body for kind in ("counts", "flow", "periods") for message in rig.kept(kind)]
    assert len(kept) == len(sent) > 10
    assert all(message in kept for message in sent)
    assert any(message.get("released") for message in kept)


def test_no_true_count_reaches_the_file(rig: Rig) -> None:
    """What waits in the gate and what is open is in the outbox's state, and must not be here."""
    rig.close_window(visits=2)
    rig.gate.keep_open([window(rig.at, {"65+": 1})])
    tables = sqlite3.connect(rig.folder / "history.db")
    names = {name for (name,) in tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {"topics", "messages", "retained", "state"}
    (counts,) = rig.kept("counts")
    assert counts.body["released"] is None
    assert not any(counts.body["counts"].values())


def test_a_period_of_time_is_read_in_order(rig: Rig) -> None:
    for _ in range(4):
        rig.close_window()
    since, until = MIDNIGHT + timedelta(minutes=5), MIDNIGHT + timedelta(minutes=15)
    found = [message.body["start"] for message in rig.kept("counts", since, until)]
    assert found == ["2026-01-31T00:05:00Z", "2026-01-31T00:10:00Z"]


def test_an_hour_that_is_as_long_as_a_window_is_kept_beside_it(rig: Rig) -> None:
    rig.at = MIDNIGHT + timedelta(minutes=55)
    rig.close_window()
    periods = [m.body["period"] for m in rig.kept("flow") if m.body.get("camera") == "door"]
    assert sorted(periods) == ["hour", "window"]


def test_a_restart_keeps_all_and_writes_nothing_twice(rig: Rig) -> None:
    rig.close_window()
    before = [message.body for message in rig.kept("flow")]
    rig.reopen()
    rig.recorder.record(rig.outbox.pending(0, 100))
    assert [message.body for message in rig.kept("flow")] == before


def test_rows_that_were_committed_before_a_crash_are_recorded_at_the_next_start(rig: Rig) -> None:
    Gate(rig.outbox, rule(), TOPICS, random.Random(1).randrange).put(window(MIDNIGHT))
    assert rig.kept("counts") == []
    rig.reopen()
    assert len(rig.kept("counts")) == 1


def test_retained_payloads_are_replaced_and_cleared(rig: Rig) -> None:
    topic = TOPICS.camera_status("door")
    for state in (b'{"state":"up"}', b'{"state":"dark"}'):
        rig.recorder.record(retained={topic: state})
    assert [message.body for message in rig.reader.retained()] == [{"state": "dark"}]
    rig.recorder.record(retained={topic: b""})
    assert rig.reader.retained() == []


def test_what_is_noted_waits_for_the_next_record(rig: Rig) -> None:
    topics = [TOPICS.camera_status(name) for name in ("door", "till")]
    rig.recorder.note({topics[0]: b'{"state":"up"}'})
    rig.recorder.note({topics[0]: b'{"state":"dark"}', topics[1]: b'{"state":"up"}'})
    assert rig.reader.retained() == []
    rig.recorder.record_noted()
    assert [message.body["state"] for message in rig.reader.retained()] == ["dark", "up"]


def test_a_refusing_disk_is_asked_again_only_when_there_is_something_new(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, record = TOPICS.camera_status("door"), rig.history.record

    def refuse(*_: object) -> None:
        raise OutsideError("history: disk full")

    monkeypatch.setattr(rig.history, "record", refuse)
    rig.recorder.note({topic: b'{"state":"up"}'})
    for _ in range(9):
        rig.recorder.record_noted()
    assert rig.failures == 1
    monkeypatch.setattr(rig.history, "record", record)
    rig.recorder.record()
    assert [message.body["state"] for message in rig.reader.retained()] == ["up"]


def test_the_day_so_far_is_kept(rig: Rig) -> None:
    rig.gate.put(window(MIDNIGHT + timedelta(minutes=25)))
    kinds = {message.topic for message in rig.reader.retained()}
    assert kinds == {TOPICS.today("door", "all"), TOPICS.box_today}


def test_the_version_changes_with_every_record_and_only_then(rig: Rig) -> None:
    rig.close_window()
    first = rig.reader.version
    rig.gate.keep_open([])
    assert rig.reader.version == first
    rig.close_window()
    assert rig.reader.version != first


def test_what_is_older_than_its_days_goes(tmp_path: Path) -> None:
    rig = Rig(tmp_path, days=2)
    rig.close_window()
    rig.clock.advance(86_400)
    rig.close_window()
    rig.clock.advance(86_400 + 60)
    rig.close_window()
    assert len(rig.kept("counts")) == 2
    rig.reopen()
    rig.clock.advance(86_400)
    rig.recorder.record(retained={"instore/store/door/status": b"{}"})
    assert len(rig.kept("counts")) == 1


def test_a_clock_that_was_set_back_does_not_stop_the_pruning(tmp_path: Path) -> None:
    rig = Rig(tmp_path, days=1)
    rig.clock.advance(500 * 86_400)
    rig.close_window()
    rig.clock.jump(-499 * 86_400)
    rig.close_window()
    rig.clock.advance(2 * 86_400)
    rig.close_window()
    assert len(rig.kept("counts")) == 2  # that of the wrong time, and the newest


def test_the_file_stays_within_its_bytes_and_loses_the_oldest(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_bytes=200_000)
    rig.history.record([row(number) for number in range(500)])
    assert len(rig.kept("counts")) == 500
    rig.history.record([row(number) for number in range(500, 3000)])
    kept = [message.body["note"] for message in rig.kept("counts")]
    assert rig.history._used() <= 200_000
    assert len(kept) > 500
    assert kept == list(range(3000 - len(kept), 3000))


def test_only_its_owner_may_read_it(rig: Rig) -> None:
    rig.close_window()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in rig.folder.glob("history.db*")}
    assert "history.db" in modes
    assert set(modes.values()) == {0o600}, modes


def test_a_full_disk_stops_no_counting_and_what_it_refused_comes_later(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.history._db.execute("PRAGMA max_page_count = 1")  # SQLite answers as on a full disk
    for _ in range(15):
        rig.close_window()
    assert rig.failures > 1
    assert caplog.text.count("database or disk is full") == 1
    assert len(rig.sent()) > 30
    rig.history._db.execute("PRAGMA max_page_count = 1000000")
    rig.gate.keep_open([])
    rig.close_window()
    assert len(rig.kept("counts")) == 16


def test_a_fault_of_its_disk_is_an_outside_error(rig: Rig) -> None:
    rig.history._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(OutsideError, match=r"history .*history\.db: database or disk is full"):
        rig.history.record([], {f"topic-{n}": bytes(random.Random(n).randbytes(500)) for n in range(300)})


def test_a_damaged_file_is_moved_aside_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"no database at all" * 100)
    rig = Rig(tmp_path)
    assert rig.set_aside == [OutboxFault.DAMAGED]
    assert len(list(tmp_path.glob("history.db.damaged-*"))) == 1
    rig.close_window()
    assert len(rig.kept("counts")) == 1


def test_a_file_of_another_version_is_moved_aside(rig: Rig) -> None:
    rig.history._db.execute("PRAGMA user_version = 99")
    rig.reopen()
    assert rig.set_aside == [OutboxFault.NEWER]


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "history.db")
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    with pytest.raises(ConfigurationError, match="another program's database"):
        Rig(tmp_path)


def test_damage_that_shows_later_costs_the_old_file_only(rig: Rig) -> None:
    rig.close_window()
    path = rig.folder / "history.db"
    rig.history._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rig.history._db.execute("PRAGMA shrink_memory")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    rig.close_window()
    rig.close_window()
    assert rig.set_aside == [OutboxFault.DAMAGED]
    assert len(rig.kept("counts")) >= 1


def test_where_there_is_no_file_there_are_no_messages(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "none.db")
    assert (reader.version, reader.retained(), list(reader.messages("counts", MIDNIGHT, LATER))) == (
        0,
        [],
        [],
    )


def test_a_file_that_cannot_be_read_is_an_outside_error(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"x" * 5000)
    with pytest.raises(OutsideError, match="cannot be read: file is not a database"):
        Reader(tmp_path / "history.db").retained()


def test_a_message_takes_a_fraction_of_its_size_on_disk(rig: Rig) -> None:
    for _ in range(24):
        rig.close_window(visits=1)
    sent = rig.sent()
    rig.history._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = rig.history._db.execute("SELECT sum(length(payload)) FROM messages").fetchone()[0]
    assert stored < 0.35 * sum(map(len, sent))


def test_a_file_keeps_the_words_that_it_began_with(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.close_window()
    monkeypatch.setattr(file_module, "WORDS", b"other words of a later version")
    rig.reopen()
    rig.close_window()
    assert len(rig.kept("counts")) == 2


def test_times_are_read_as_they_were_written() -> None:
    moment = datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert file_module.moment(file_module.seconds(moment)) == moment
