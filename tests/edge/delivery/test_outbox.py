"""What was put is there after every kind of end, in order, once, and within bounds."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from edge.delivery import outbox as module
from edge.delivery.outbox import Outbox, Receiver, Row
from edge.delivery.outbox_file import FORMAT, UnusableError, fault_at_open
from edge.errors import ConfigurationError, OutsideError
from tests.fakes import EPOCH, ManualClock
from tests.messages import Text
from tests.patience import PATIENCE

_NO_INDEXES = "DROP INDEX IF EXISTS waits_for_mqtt; DROP INDEX IF EXISTS waits_for_webhook;"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


@pytest.fixture
def reopen(path: Path) -> Iterator[Callable[..., Outbox]]:
    """Opens the outbox, closing the one opened before."""
    opened: list[Outbox] = []

    def again(max_rows: int = 1000, max_bytes: int = 1 << 20, clock: ManualClock | None = None) -> Outbox:
        if opened:
            opened.pop().close()
        opened.append(Outbox(path, max_rows, max_bytes, clock or ManualClock()))
        return opened[0]

    yield again
    for outbox in opened:
        outbox.close()


def put(outbox: Outbox, topic: str, key: str, size: int = 0) -> Row | None:
    """Store one message; None where its key is known."""
    stored = outbox.commit([Text(topic, key, size=size)])
    return stored[0] if stored else None


def names(rows: list[Row]) -> list[tuple[str, str, int]]:
    return [(row.topic, row.key, row.sequence) for row in rows]


def test_rows_come_back_in_order_with_everything_they_were_put_with(reopen: Callable[..., Outbox]) -> None:
    clock = ManualClock()
    outbox = reopen(clock=clock)
    clock.advance(12.25)
    rows = [put(outbox, "door", "a"), put(outbox, "till", "b"), put(outbox, "door", "c")]

    found = outbox.pending(after=0, limit=10)

    assert found == rows
    assert names(found) == [("door", "a", 1), ("till", "b", 1), ("door", "c", 2)]
    assert found[0].payload == b"a 1"
    assert found[0].created_at == EPOCH + timedelta(seconds=12.25)


def test_rows_are_paged_by_id_and_by_camera(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    for window_id in "abcd":
        put(outbox, "door" if window_id in "ac" else "till", window_id)

    first = outbox.pending(after=0, limit=2)

    assert [row.key for row in first] == ["a", "b"]
    assert [row.key for row in outbox.pending(after=first[-1].id, limit=2)] == ["c", "d"]
    assert [row.key for row in outbox.pending(after=0, limit=9, without={"door"})] == ["b", "d"]
    assert outbox.pending(after=first[-1].id + 2, limit=9) == []


def test_a_window_is_stored_once_even_after_it_left(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    row = put(outbox, "door", "a")
    assert row is not None
    assert put(outbox, "door", "a") is None
    outbox.delete([row.id])

    assert put(outbox, "door", "a") is None
    assert put(reopen(), "door", "a") is None
    assert outbox.depth == 0


def test_a_window_that_waits_is_known_however_many_followed(
    reopen: Callable[..., Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    outbox = reopen()
    rows = [put(outbox, "door", window_id) for window_id in "abcd"]
    assert put(outbox, "door", "a") is None
    outbox.delete([row.id for row in rows if row])

    assert put(outbox, "door", "c") is None
    forgotten = put(outbox, "door", "a")
    assert forgotten is not None
    assert forgotten.sequence == 5


def test_sequences_go_on_after_the_rows_are_gone(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    for window_id in "abc":
        put(outbox, "door", window_id)
    outbox.delete([row.id for row in outbox.pending(0, 10)])

    outbox = reopen()
    row, other = put(outbox, "door", "d"), put(outbox, "till", "e")

    assert row is not None
    assert other is not None
    assert (row.sequence, other.sequence) == (4, 1)
    assert outbox.pending(3, 10) == [row, other]  # ids were not given again either


def test_depth_and_bytes_are_kept_and_found_again(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    rows = [put(outbox, "door", window_id, size=100) for window_id in "abc"]
    assert rows[1] is not None
    outbox.delete([rows[1].id, rows[1].id, 4711])

    assert (outbox.depth, outbox.payload_bytes) == (2, 200)
    outbox = reopen()
    assert (outbox.depth, outbox.payload_bytes, outbox.dropped) == (2, 200, 0)


def test_the_oldest_rows_go_when_there_are_too_many(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen(max_rows=3)
    for window_id in "abcde":
        put(outbox, "door", window_id)

    assert names(outbox.pending(0, 10)) == [("door", "c", 3), ("door", "d", 4), ("door", "e", 5)]
    assert (outbox.depth, outbox.dropped) == (3, 2)


def test_the_oldest_rows_go_when_they_are_too_big_but_never_the_newest(
    reopen: Callable[..., Outbox],
) -> None:
    outbox = reopen(max_bytes=250)
    for window_id in "abc":
        put(outbox, "door", window_id, size=100)
    assert [row.key for row in outbox.pending(0, 10)] == ["b", "c"]

    put(outbox, "door", "d", size=1000)

    assert [row.key for row in outbox.pending(0, 10)] == ["d"]
    assert (outbox.depth, outbox.payload_bytes, outbox.dropped) == (1, 1000, 3)


def test_an_encoder_that_fails_leaves_no_trace(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()

    class Failing(Text):
        def encode(self, sequence: int) -> bytes:
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        outbox.commit([Text("door", "b"), Failing("door", "a")], state={"s": b"1"})
    assert (outbox.state(), outbox.retained()) == ({}, {})

    row = put(outbox, "door", "a")
    assert row is not None
    assert (row.sequence, outbox.depth) == (1, 1)


def test_two_threads_may_use_it(reopen: Callable[..., Outbox]) -> None:
    outbox, count = reopen(max_rows=10_000), 150
    taken: list[Row] = []

    def take() -> None:
        while len(taken) < count:
            rows = outbox.pending(0, 7)
            taken.extend(rows)
            outbox.delete([row.id for row in rows])

    reader = threading.Thread(target=take)
    reader.start()
    for i in range(count):
        put(outbox, f"camera{i % 3}", str(i))
    reader.join(PATIENCE)

    assert [row.key for row in taken] == [str(i) for i in range(count)]
    assert (outbox.depth, outbox.payload_bytes) == (0, 0)


WRITER = """
import sys
from pathlib import Path
from edge.delivery.outbox import Outbox
from tests.messages import Text

outbox = Outbox(Path(sys.argv[1]), 100_000, 1 << 30)
for i in range(100_000):
    (row,) = outbox.commit([Text(f"camera{i % 2}", f"window{i}", size=500)])
    print(row.key, row.sequence, flush=True)
"""


def test_every_row_that_put_returned_for_outlives_a_kill(path: Path, reopen: Callable[..., Outbox]) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [next(writer.stdout).split() for _ in range(40)]
    writer.kill()
    told += [line.split() for line in writer.stdout]  # what it had told before it died
    writer.stdout.close()
    assert writer.wait(PATIENCE) == -signal.SIGKILL

    outbox = reopen(max_rows=100_000)
    rows = outbox.pending(0, 100_000)
    last = [row.sequence for row in rows if row.topic == "camera0"][-1]
    after = put(outbox, "camera0", "after")

    assert [[row.key, str(row.sequence)] for row in rows][: len(told)] == told
    assert len(rows) - len(told) in (0, 1)  # it may have died between the two lines
    assert after is not None
    assert after.sequence == last + 1


FULL_DISK = """
import resource, sys
from pathlib import Path
from edge.errors import OutsideError
from edge.delivery.outbox import Outbox
from tests.messages import Text

outbox, stored = Outbox(Path(sys.argv[1]), 1000, 1 << 20), 0
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    while stored < 100:
        outbox.commit([Text("door", str(stored), size=10_000)])
        stored += 1
except OutsideError as error:
    print(error)
assert 0 < stored < 100 and outbox.depth == stored, (stored, outbox.depth)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
(row,) = outbox.commit([Text("door", str(stored))])
assert row.sequence == stored + 1 and len(outbox.pending(0, 1000)) == stored + 1
"""


def test_a_disk_that_takes_no_more_is_a_fault_of_the_outside_and_put_may_be_repeated(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"outbox {path}: ")


def test_a_closed_file_is_not_mistaken_for_a_fault_of_the_disk(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    outbox.close()
    with pytest.raises(sqlite3.ProgrammingError):
        put(outbox, "door", "a")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file/state: cannot be made: .*set outbox\.directory"):
        Outbox(tmp_path / "file" / "state" / "outbox.db", 10, 1000)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").mkdir()
    with pytest.raises(ConfigurationError, match=r"outbox\.db: cannot be opened; set outbox\.directory"):
        Outbox(tmp_path / "outbox.db", 10, 1000)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_text("no database, but long enough to be one " * 100)
    with pytest.raises(ConfigurationError, match=r"outbox\.db: is not an SQLite database"):
        Outbox(tmp_path / "outbox.db", 10, 1000)


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()

    with pytest.raises(ConfigurationError, match=r"outbox\.db: is another program's database"):
        Outbox(path, 10, 1000)
    assert path.read_bytes() == before


def test_a_newer_format_is_refused(path: Path, reopen: Callable[..., Outbox]) -> None:
    make_newer(path, reopen)
    with pytest.raises(
        UnusableError, match=rf"its format is 7; this version of the program reads format {FORMAT}"
    ):
        Outbox(path, 10, 1000)


def make_newer(path: Path, reopen: Callable[..., Outbox]) -> None:
    """An outbox of a later version, which has given the sequences 1 to 3 and holds the last of them."""
    outbox = reopen()
    for window_id in "abc":
        put(outbox, "door", window_id)
    outbox.close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()


def test_a_file_of_the_version_before_is_read_and_its_messages_wait_for_the_broker(
    path: Path, reopen: Callable[..., Outbox]
) -> None:
    """It had no column for the receivers, and no index."""
    for window_id in "abc":
        put(reopen(), "door", window_id)
    reopen().close()
    db = sqlite3.connect(path)
    db.executescript(_NO_INDEXES)
    db.executescript(f"ALTER TABLE messages DROP COLUMN waits; PRAGMA user_version = {FORMAT - 1};")
    db.close()
    told: list[str] = []

    outbox = Outbox(path, 10, 1000, ManualClock(), on_set_aside=told.append)

    assert names(outbox.pending(0, 10)) == [("door", "a", 1), ("door", "b", 2), ("door", "c", 3)]
    assert (outbox.depth_of(Receiver.MQTT), outbox.depth_of(Receiver.WEBHOOK)) == (3, 0)
    assert put(outbox, "door", "b") is None
    outbox.close()
    assert told == []


def damage_header(path: Path) -> None:
    path.write_bytes(b"no database, but long enough to be one " * 400)


def damage_page(path: Path) -> None:
    """Overwrite the middle of a table: the file opens, and what is in it is wrong."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.parametrize(
    ("spoil", "reason", "sequence"),
    [(None, "newer", 4), (damage_page, "damaged", 4), (damage_header, "damaged", 1)],
)
def test_a_file_that_cannot_be_used_is_moved_aside_and_never_deleted(
    path: Path,
    reopen: Callable[..., Outbox],
    caplog: pytest.LogCaptureFixture,
    *,
    spoil: Callable[[Path], None] | None,
    reason: str,
    sequence: int,
) -> None:
    if spoil:
        for window_id in "abc":
            put(reopen(), "door", window_id)
        reopen().close()
        spoil(path)
    else:
        make_newer(path, reopen)
    Path(f"{path}-wal").write_bytes(b"left by a crash")
    content = path.read_bytes()
    told: list[str] = []

    for again in ("", "-2"):
        outbox = Outbox(path, 10, 1000, ManualClock(), on_set_aside=told.append)
        row = put(outbox, "door", "d")
        outbox.close()
        aside = path.with_name(f"outbox.db.{reason}-19700101T000000Z{again}")
        assert aside.read_bytes() == content
        assert Path(f"{aside}-wal").read_bytes() == b"left by a crash"
        assert row is not None
        assert row.sequence == sequence  # goes on where it still can be read
        path.write_bytes(content)
        Path(f"{path}-wal").write_bytes(b"left by a crash")

    assert told == [reason] * 2
    assert f"the file was moved to {path}.{reason}-19700101T000000Z, and a new one is used" in caplog.text


def test_a_file_that_turns_out_to_be_damaged_is_replaced_while_it_is_used(path: Path) -> None:
    told: list[str] = []
    outbox = Outbox(path, 10, 1000, ManualClock(), on_set_aside=told.append)
    rows = [put(outbox, "door", window_id) for window_id in "abc"]
    outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox._db.execute("PRAGMA cache_size = 0")
    damage_open(path)

    with pytest.raises(OutsideError, match=r"malformed|not a database"):
        while True:  # what it has in memory may be right for a while
            put(outbox, "door", "d")
            outbox._db.execute("PRAGMA shrink_memory")

    assert told == ["damaged"]
    assert outbox.depth == 0
    outbox.delete([row.id for row in rows if row])  # acknowledged in the meantime: no longer known
    after = put(outbox, "door", "e")
    assert after is not None
    assert after.id > max(row.id for row in rows if row)  # readers page by it
    assert after.sequence >= 4
    assert outbox.pending(rows[-1].id if rows[-1] else 0, 10) == [after]
    outbox.close()
    assert len(list(path.parent.glob("outbox.db.damaged-*"))) >= 1


def damage_open(path: Path) -> None:
    """All pages but the first, below an open connection."""
    with path.open("r+b") as file:
        file.seek(0, 2)
        size = file.tell()
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def test_acknowledged_rows_that_the_disk_does_not_forget_wait_no_more(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    rows = [put(outbox, "door", window_id) for window_id in "abc"]
    outbox._db.execute("PRAGMA query_only = ON")  # what SQLite says of a file system gone read-only
    with pytest.raises(OutsideError):
        outbox.delete([row.id for row in rows[:2] if row])
    assert outbox.pending(0, 10) == rows[2:]
    assert outbox.depth == 1

    outbox._db.execute("PRAGMA query_only = OFF")
    put(outbox, "door", "d")  # whatever is written next takes them along
    assert outbox.depth == 2
    assert [row.key for row in reopen().pending(0, 10)] == ["c", "d"]


def test_an_outbox_of_an_older_format_is_moved_aside(path: Path, reopen: Callable[..., Outbox]) -> None:
    put(reopen(), "door", "a")
    reopen().close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 2")
    db.close()
    reasons: list[str] = []

    outbox = Outbox(path, 10, 1000, ManualClock(), on_set_aside=reasons.append)

    assert reasons == ["older"]
    assert outbox.depth == 0
    outbox.close()
    assert path.with_name("outbox.db.older-19700101T000000Z").exists()


def test_retained_topics_are_known_until_they_are_forgotten(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    for topic in ("b", "a", "b"):
        outbox.remember(topic)
    outbox.forget("a")
    assert reopen().retained_topics() == ["b"]
    assert reopen().retained() == {}  # the publisher alone knows what is there


def test_rows_state_and_retained_payloads_are_stored_together(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    first = outbox.retained_version
    (row,) = outbox.commit([Text("door", "a")], retained={"latest": b"1"}, state={"g/x": b"5", "open": b"6"})
    second = outbox.retained_version
    outbox.commit(retained={"today": b"2"}, state={"g/x": b"7"})

    outbox = reopen()

    assert outbox.pending(0, 10) == [row]
    assert outbox.state("g/") == {"g/x": b"7"}
    assert outbox.state() == {"g/x": b"7", "open": b"6"}
    assert outbox.retained(first) == {"latest": b"1", "today": b"2"}
    assert outbox.retained(second) == {"today": b"2"}
    assert outbox.retained_version > second > first


def test_a_topic_is_not_forgotten_that_has_a_payload_again(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    outbox.commit(retained={"latest": b"", "today": b""})
    outbox.commit(retained={"latest": b"new"})
    for topic in ("latest", "today"):
        outbox.forget(topic)  # the broker has cleared both
    assert reopen().retained() == {"latest": b"new"}


@pytest.mark.parametrize("topics", [0, 2])
@pytest.mark.parametrize("receiver", list(Receiver))
def test_what_waits_for_a_receiver_is_found_by_its_index(
    path: Path, reopen: Callable[..., Outbox], receiver: Receiver, topics: int
) -> None:
    """Also in a file of this format from before there were indexes."""
    reopen().close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(_NO_INDEXES)
    reopen().close()
    with closing(sqlite3.connect(path)) as db:
        query = "EXPLAIN QUERY PLAN " + module.pending_query(receiver, topics)
        ((*_, plan),) = db.execute(query, (0, *["door"] * topics, 1)).fetchall()
    assert receiver.name
    assert plan == f"SEARCH messages USING INDEX waits_for_{receiver.name.lower()} (id>?)"


def test_where_nothing_waits_for_a_receiver_the_file_is_not_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Receiver.MQTT | Receiver.WEBHOOK
    with closing(Outbox(path, 10, 1000, ManualClock(), receivers=both)) as outbox:
        row = put(outbox, "door", "a")
        assert row is not None
        outbox.delete([row.id], Receiver.MQTT)
        assert outbox.pending(0, 10, receiver=Receiver.WEBHOOK) == [row]
        monkeypatch.setattr(outbox, "disk", None)
        assert outbox.pending(0, 10) == []


def test_two_daemons_do_not_share_an_outbox(
    path: Path, reopen: Callable[..., Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.delivery.outbox_file._PATIENCE", 0.0)
    outbox = reopen()

    with pytest.raises(OutsideError, match="is in use by another process"):
        Outbox(path, 10, 1000)
    assert put(outbox, "door", "a") is not None


def test_put_waits_for_the_disk(path: Path, reopen: Callable[..., Outbox]) -> None:
    """Write-ahead log with full synchronisation: the pragmas that durability rests on."""
    db = reopen()._db

    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_an_unwritable_disk_is_a_fault_of_the_outside(reopen: Callable[..., Outbox]) -> None:
    outbox = reopen()
    outbox._db.execute("PRAGMA query_only = ON")  # what SQLite says of a file system gone read-only

    with pytest.raises(OutsideError, match="readonly"):
        put(outbox, "door", "a")
    assert outbox.depth == 0


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {found.name: stat.S_IMODE(found.stat().st_mode) for found in [folder, *folder.iterdir()]}


def test_no_other_user_reads_the_files(path: Path, reopen: Callable[..., Outbox], umask: None) -> None:
    reopen().commit(state={"open": b"counts"})
    put(reopen(), "door", "a")

    assert modes(path.parent) == {"state": 0o700, "outbox.db": 0o600, "outbox.db-wal": 0o600}


def test_files_that_an_older_version_left_open_are_closed(path: Path, reopen: Callable[..., Outbox]) -> None:
    put(reopen(), "door", "a")
    shutil.copytree(path.parent, path.parent.with_name("left"))  # as a kill leaves it, with its log
    path = path.parent.with_name("left") / "outbox.db"
    for file in path.parent.iterdir():
        file.chmod(0o666)

    with closing(Outbox(path, 10, 1000)) as outbox:
        assert set(modes(path.parent).items()) >= {("outbox.db", 0o600), ("outbox.db-wal", 0o600)}
        assert outbox.depth == 1


@pytest.mark.parametrize("size", [40, 900, 20_000])
def test_state_that_was_replaced_is_in_no_file(path: Path, reopen: Callable[..., Outbox], size: int) -> None:
    outbox = reopen()
    for moment in range(50):
        counts = {f"camera {n}": f"<{n} saw {moment:02} by now>".encode().ljust(size, b".") for n in range(9)}
        outbox.commit(state=counts)
        if moment % 7 == 0:
            put(outbox, "door", str(moment), size=700)

    on_disk = b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert {int(moment) for moment in re.findall(rb"saw (\d\d) by now", on_disk)} == {49}
    assert len(outbox.state()) == 9


def test_on_a_full_disk_a_person_is_told_to_free_some_space(path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as full:
            db.execute("CREATE TABLE more (than INTEGER)")
    fault = fault_at_open(path, full.value)
    assert str(fault) == f"{path}: cannot be written: the disk is full; free some space on it"
    assert isinstance(fault, OutsideError)
