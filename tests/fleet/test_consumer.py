"""The reference consumer against a real broker and PostgreSQL: every window once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from paho.mqtt.client import MQTTMessage
from paho.mqtt.publish import multiple

from bench.box import ROOT
from bench.servers import Mosquitto, PostgreSQL
from deploy.fleet.to_postgres import Database, RefusedError, checked, main
from tests.fleet.test_schema import QUARTER, counts, rows
from tests.patience import PATIENCE

SAVES = ("autosave_interval 1", "autosave_on_changes true", "max_inflight_messages 0")
START = datetime(2026, 6, 1, tzinfo=UTC)
TOPIC = "instore/store/door/all/counts"


def windows(first: int, last: int) -> list[dict[str, Any]]:
    """Counts of consecutive windows, by their sequence."""
    return [
        counts(START + n * QUARTER, START + (n + 1) * QUARTER, sequence=n) for n in range(first, last + 1)
    ]


def publish(broker: Mosquitto, payloads: Iterable[bytes | dict[str, Any]], topic: str = TOPIC) -> None:
    texts = [payload if isinstance(payload, bytes) else json.dumps(payload) for payload in payloads]
    messages: list[Any] = [{"topic": topic, "payload": text, "qos": 1} for text in texts]
    multiple(messages, hostname="127.0.0.1", port=broker.port)


@contextmanager
def consumer(broker: Mosquitto, database: str) -> Iterator[subprocess.Popen[str]]:
    """The program; returns when it has subscribed, and ends it at the end if it still runs."""
    program = [sys.executable, str(ROOT / "deploy" / "fleet" / "to_postgres.py")]
    command = [*program, "--broker", f"mqtt://127.0.0.1:{broker.port}", "--database", database]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        ready = threading.Event()

        def read(log: Iterable[str]) -> None:
            for line in log:
                if "subscribed to" in line:
                    ready.set()

        threading.Thread(target=read, args=(process.stderr,), daemon=True).start()
        assert ready.wait(PATIENCE), "the consumer does not subscribe"
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(PATIENCE) in (0, -9)


def wait_for(db: psycopg.Connection, query: str, fulfilled: Callable[[Any], bool]) -> Any:
    """The first value of the query once it is fulfilled."""
    until = time.monotonic() + PATIENCE
    while not fulfilled(found := rows(db, query)[0][0]):
        assert time.monotonic() < until, f"{query}: still {found}"
        threading.Event().wait(0.05)
    return found


STORED = "SELECT count(*) FROM instore.counts"


def test_every_window_is_there_once_over_kills_and_a_restart_of_the_broker(
    tmp_path: Path, postgresql: PostgreSQL, database: str
) -> None:
    with Mosquitto(tmp_path, SAVES) as broker:
        with consumer(broker, database) as first:
            publish(broker, [*windows(1, 20), *windows(11, 20)])
            postgresql.kill()
            publish(broker, windows(21, 40))  # they wait: in the consumer, then at the broker
            postgresql.start()
            with psycopg.connect(database, autocommit=True) as db:
                wait_for(db, STORED, lambda n: n == 40)
            first.kill()
        publish(broker, windows(41, 60))  # to nobody: the broker keeps them for the session
        with consumer(broker, database), psycopg.connect(database, autocommit=True) as db:
            publish(broker, windows(61, 80))
            broker.stop()  # in order: mosquitto may lose what it acknowledged just before a kill
            broker.start()
            publish(broker, windows(81, 100))
            wait_for(db, STORED, lambda n: n == 100)
            assert rows(db, "SELECT sequence FROM instore.counts ORDER BY 1") == [(n,) for n in range(1, 101)]
            assert rows(db, "SELECT * FROM instore.gaps") == []
            assert rows(db, "SELECT * FROM instore.refused") == []


def test_what_cannot_be_stored_is_kept_apart_and_holds_up_nothing(
    tmp_path: Path, database: str, db: psycopg.Connection
) -> None:
    foreign = counts(START, START + QUARTER, site="another")
    without_time = {**windows(1, 1)[0], "start": "no time"}
    (good,) = windows(2, 2)
    with Mosquitto(tmp_path, SAVES) as broker, consumer(broker, database):
        publish(
            broker,
            [b"{", b"[]", foreign, without_time, b'{"schema":"instore.counts/2","site":"store"}', good],
        )
        wait_for(db, STORED, lambda n: n == 1)
        assert rows(db, "SELECT sequence FROM instore.counts") == [(2,)]
        refused = rows(db, "SELECT payload, reason FROM instore.refused")
        assert len(refused) == 5
        reason = "it is of site 'another', which is not that of its topic"
        assert (json.dumps(foreign).encode(), reason) in refused


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"\xff", b"7", b"[" * 60_000, b'{"schema":"instore.today/1"}']
)
def test_a_message_that_is_none_of_ours_is_refused(payload: bytes) -> None:
    with pytest.raises(RefusedError):
        checked(TOPIC, payload)


def test_a_message_is_of_the_place_that_its_topic_names() -> None:
    """Site `attacker` may name its camera or zone like another site."""
    body = counts(START, START + QUARTER)
    for topic in (
        "instore/attacker/store/all/counts", "instore/attacker/door/store/counts",
        "instore/store/till/all/counts", "instore/store/door/queue/counts", "instore/store/door/counts",
        "instore/store/door/all/periods", "instore/store/door/all/latest", "store/door/all/counts",
        "other/store/door/all/counts",
    ):  # fmt: skip
        with pytest.raises(RefusedError):
            checked(topic, json.dumps(body).encode())
    checked("org/eu/instore/store/door/all/counts", json.dumps(body).encode(), "org/eu/instore")


@pytest.mark.parametrize(
    "changed",
    [{"start": "infinity"}, {"end": "now"}, {"since": {"65+": "-infinity"}}, {"since": 7},
     {"start": "2026-13-01T00:00:00Z"}, {"figures": {"start": "epoch"}}, {"camera": "x" * 6000}],
)  # fmt: skip
def test_times_and_names_are_those_that_a_box_can_send(changed: dict[str, Any]) -> None:
    body = {**counts(START, START + QUARTER), **changed}
    topic = f"instore/store/{body['camera']}/all/counts"
    with pytest.raises(RefusedError):
        checked(topic, json.dumps(body).encode())


def message(body: dict[str, Any], topic: str = TOPIC) -> MQTTMessage:
    made = MQTTMessage(topic=topic.encode())
    made.payload = json.dumps(body).encode()
    return made


def test_what_the_database_cannot_take_in_is_refused_alone(database: str, db: psycopg.Connection) -> None:
    """Too large for an index: class 54, which psycopg has under OperationalError, as a lost connection."""
    name = "".join(random.Random(1).choices("abc019", k=30_000))  # a compressed one would fit
    large = {**windows(1, 1)[0], "counts": {name: 5}}
    (good,) = windows(2, 2)
    store = Database(database, "instore")
    assert store.try_to_store([message(large), message(good)])
    assert rows(db, "SELECT sequence FROM instore.counts") == [(2,)]
    assert len(rows(db, "SELECT * FROM instore.refused WHERE strpos(reason, 'index row') > 0")) == 1


def test_what_takes_too_long_is_refused_alone(database: str, db: psycopg.Connection) -> None:
    """As a query that reached statement_timeout; psycopg has it under OperationalError."""
    db.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'too slow' USING ERRCODE = '57014'; END $$;"
        "CREATE TRIGGER slow BEFORE INSERT ON instore.counts FOR EACH ROW WHEN (NEW.sequence = 1)"
        " EXECUTE FUNCTION slow()"
    )
    assert Database(database, "instore").try_to_store(list(map(message, windows(1, 2))))
    assert rows(db, "SELECT sequence FROM instore.counts") == [(2,)]
    assert len(rows(db, "SELECT * FROM instore.refused")) == 1


def test_a_window_id_in_another_spelling_is_the_same_window(database: str, db: psycopg.Connection) -> None:
    (body,) = windows(1, 1)
    again = {**body, "window_id": body["window_id"].upper(), "sequence": 2}
    assert Database(database, "instore").try_to_store([message(body), message(again)])
    assert rows(db, "SELECT sequence FROM instore.counts") == [(2,)]
    assert rows(db, "SELECT * FROM instore.refused") == []


def test_a_window_id_of_another_site_changes_nothing(database: str, db: psycopg.Connection) -> None:
    """Neither in the batch of the window, nor later; it is kept apart."""
    released = {"65+": (5, START), "0-17": (6, START)}
    own = counts(START, START + QUARTER, released=released)
    same = {"window_id": own["window_id"], "site": "attacker", "released": {"65+": (900, START)}}
    foreign = message(counts(START, START + QUARTER, **same), "instore/attacker/door/all/counts")
    store = Database(database, "instore")
    for batch in ([message(own), foreign], [foreign]):
        assert store.try_to_store(batch)
        assert rows(db, "SELECT site, released FROM instore.counts") == [("store", 11)]
        assert rows(db, "SELECT site, visits FROM instore.cells ORDER BY 2") == [("store", 5), ("store", 6)]
    assert rows(db, "SELECT topic, strpos(reason, 'its row is of site store') FROM instore.refused") == [
        (foreign.topic, 1), (foreign.topic, 1),
    ]  # fmt: skip


def test_an_empty_message_clears_a_topic() -> None:
    assert json.loads(checked("instore/store/door/status", b"")) == {
        "topic": "instore/store/door/status", "payload": None,
    }  # fmt: skip


@pytest.mark.parametrize("url", ["http://broker", "mqtt://", "broker:1883"])
def test_an_address_that_is_none_is_bad_usage(url: str) -> None:
    assert main(["--broker", url]) == 2


def test_a_database_without_the_schema_ends_it(tmp_path: Path, postgresql: PostgreSQL) -> None:
    """Waiting would not help, and the messages stay with the broker."""
    with Mosquitto(tmp_path, SAVES) as broker:
        command = [
            "--broker",
            f"mqtt://127.0.0.1:{broker.port}",
            "--database",
            postgresql.address("postgres"),
        ]
        retained: Any = {"topic": TOPIC, "payload": json.dumps(windows(1, 1)[0]), "qos": 1, "retain": True}
        multiple([retained], hostname="127.0.0.1", port=broker.port)
        assert main(command) == 1
