"""Stores what boxes publish in PostgreSQL: the reference consumer of docs/fleet.md.

    python to_postgres.py --broker mqtts://broker.example:8883 --ca ca.pem --user dashboard \\
        --password-file password --database "host=db.example dbname=instore user=consumer"

A message is acknowledged to the broker after the transaction that stored it. So a kill of this process or of
the database loses nothing: what was not stored comes again, and what comes again is stored once, by its
window_id. A message that cannot be stored goes to instore.refused.
Needs paho-mqtt and psycopg, and the schema beside this file.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import select
import signal
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

log = logging.getLogger("to_postgres")

SCHEMAS = {
    "counts": ("instore.counts/2",), "periods": ("instore.periods/1",), "flow": ("instore.flow/1",),
    "status": ("instore.box/1", "instore.camera/1"),
}  # fmt: skip
"""The schemas of the messages of a topic, by its last level."""
TOPICS = ("+/+/+/counts", "+/+/+/periods", "+/+/periods", "+/+/flow", "+/+/status")
"""After the prefix: site, camera and zone; or site, and box or camera."""
LONGEST_NAME = 255
"""Bytes of a level of a topic; boxes allow 64. An index of PostgreSQL holds 2,700 bytes of a row."""
SCHEMA_FAULTS = frozenset({"3F000", "42501", "42703", "42883", "42P01", "42P10"})
"""SQLSTATE: the schema is missing or old, or the user has no rights in it."""
PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
BATCH = 500
"""Messages that are stored in one transaction, at most."""
LINGER = 0.2
"""Seconds for which the first message of a batch waits for more."""
POLL = 0.05
LONGEST_WAIT = 30.0
ANSWER_WITHIN = 30_000
"""Milliseconds that the database may take."""
SESSION = 30 * 24 * 3600
"""Seconds for which the broker keeps messages while nobody is here."""


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


class RefusedError(Exception):
    """A message that is none of ours; it says why."""


def checked(topic: str, payload: bytes, prefix: str = "instore") -> str:
    """The message as `instore.take` has it. prefix: the first levels of its topic. Raises RefusedError.

    The broker's access rules bind a topic to a site, so a message must be of the place in its topic.
    """
    *place, kind = _levels(topic, prefix)
    if not payload and kind == "status":
        return json.dumps({"topic": topic, "payload": None})
    try:
        text = payload.decode()
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"it is no JSON: {error}") from None
    if not isinstance(body, dict) or body.get("schema") not in SCHEMAS[kind]:
        raise RefusedError(f"its schema is unknown; allowed: {', '.join(SCHEMAS[kind])}")
    _check_place(body, place)
    for time_ in _times(body):
        _check_time(time_)
    return f'{{"topic": {json.dumps(topic)}, "payload": {text}}}'


def _levels(topic: str, prefix: str) -> list[str]:
    """Those after the prefix. Raises RefusedError where there is no such topic."""
    levels = topic.removeprefix(f"{prefix}/").split("/")
    if not topic.startswith(f"{prefix}/") or not 3 <= len(levels) <= 4 or levels[-1] not in SCHEMAS:
        raise RefusedError(f"its topic is unknown; allowed: {', '.join(f'{prefix}/{one}' for one in TOPICS)}")
    if any(len(level.encode()) > LONGEST_NAME for level in levels):
        raise RefusedError(f"a level of its topic is too long; allowed: at most {LONGEST_NAME} bytes")
    return levels


def _check_place(body: dict[str, Any], place: list[str]) -> None:
    """Raises RefusedError where the message is of another site, camera, zone or box than its topic."""
    if body.get("site") != place[0]:
        raise RefusedError(f"it is of site {body.get('site')!r}, which is not that of its topic")
    named = [body[name] for name in ("box", "camera", "zone") if body.get(name) is not None]
    if named != place[1:]:
        raise RefusedError(f"it is of {named}, and its topic is of {place[1:]}")


def _times(body: dict[str, Any]) -> Iterator[object]:
    """The times of a message that the database reads."""
    figures, since = body.get("figures"), body.get("since")
    for part in (body, figures if isinstance(figures, dict) else {}):
        yield from (part[name] for name in ("start", "end") if name in part)
    yield from since.values() if isinstance(since, dict) else (since,) if since is not None else ()


def _check_time(text: object) -> None:
    """Raises RefusedError. PostgreSQL would also take `infinity`, whose calendar has no end."""
    try:
        if not isinstance(text, str) or not _TIME.fullmatch(text):
            raise ValueError(text)
        datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(f"{text!r} is no time; allowed: as 2026-01-31T08:00:00Z") from None


class Database:
    """Stores batches; a lost connection is opened again, for as long as it takes."""

    def __init__(self, address: str, prefix: str) -> None:
        self._address = address
        self._prefix = prefix
        self._connection: psycopg.Connection | None = None
        self.stored = 0

    def try_to_store(self, messages: Sequence[MQTTMessage]) -> bool:
        """Whether these are committed now; False: the database is away, and nothing was stored."""
        try:
            if self._connection is None or self._connection.broken:
                self._connection = self._connect()
            self._store(self._connection, messages)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            log.warning("the database cannot be used: %s", " ".join(str(error).split()))
            self._connection = None
            return False
        self.stored += len(messages)
        return True

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._address, autocommit=True, connect_timeout=10, application_name="to_postgres",
            tcp_user_timeout=ANSWER_WITHIN,
            options=f"-c statement_timeout={ANSWER_WITHIN} -c lock_timeout={ANSWER_WITHIN // 2}",
        )  # fmt: skip

    def _store(self, connection: psycopg.Connection, messages: Sequence[MQTTMessage]) -> None:
        """In one transaction; where the database rejects a batch, each of its messages in one of its own."""
        good, refused = [], []
        for message in messages:
            try:
                good.append(checked(message.topic, bytes(message.payload), self._prefix))
            except RefusedError as error:
                refused.append((message, str(error)))
        try:
            with connection.transaction():
                if good:
                    connection.execute("SELECT instore.take(%s::jsonb)", [f"[{','.join(good)}]"])
                for message, reason in refused:
                    self._refuse(connection, message, reason)
        except psycopg.Error as error:
            if not _is_about_the_data(error):
                raise
            if len(messages) > 1:
                for message in messages:
                    self._store(connection, [message])
            else:
                self._refuse(connection, messages[0], str(error))

    def _refuse(self, connection: psycopg.Connection, message: MQTTMessage, reason: str) -> None:
        log.warning("refused a message on %s: %s", message.topic, reason)
        connection.execute(
            "INSERT INTO instore.refused (topic, payload, reason) VALUES (%s, %s, %s)",
            (message.topic.replace("\0", ""), bytes(message.payload[:4096]), reason),
        )


def _is_about_the_data(error: psycopg.Error) -> bool:
    """Whether the database rejects what it was given.

    Class 54: too large or complex. 57014: it took too long, and not for a lock: lock_timeout is shorter.
    """
    state = error.sqlstate or ""
    return (
        isinstance(error, (psycopg.DataError, psycopg.IntegrityError))
        or (isinstance(error, psycopg.ProgrammingError) and state != "" and state not in SCHEMA_FAULTS)
        or state.startswith("54")
        or state == "57014"
    )


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to connect, and as whom."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    user: str
    password: str
    client_id: str
    topics: Sequence[str]
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5

    @property
    def is_new(self) -> bool:
        """Whether the client says how long its session is kept; in MQTT 3.1.1 the broker decides."""
        return self.protocol is MQTTProtocolVersion.MQTTv5


def _session() -> Properties:
    made = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's has no types
    made.SessionExpiryInterval = SESSION
    made.ReceiveMaximum = 65535
    return made


class Consumer:
    """One persistent session with the broker, in one thread.

    Acknowledgements are written only while the socket has nothing to read: after the broker's end a write
    fails and paho closes the socket, and what was unread in it would be gone. A killed broker may have
    acknowledged that to a box without having saved it.
    """

    def __init__(self, broker: Broker, database: Database) -> None:
        self._broker = broker
        self._database = database
        self._waiting: list[MQTTMessage] = []
        self._due = 0.0
        self._wait = 0.0
        self._stopped = False
        self._client = Client(
            CallbackAPIVersion.VERSION2, broker.client_id, protocol=broker.protocol, manual_ack=True,
            clean_session=None if broker.is_new else False,
        )  # fmt: skip
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = lambda *_: log.info("the connection to the broker ended")
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.username_pw_set(broker.user or None, broker.password)
        if broker.tls:
            self._client.tls_set_context(broker.tls)

    def stop(self, *_: object) -> None:
        """End `run`; what waits comes again to the next consumer. Safe in a signal's handler."""
        self._stopped = True

    def run(self) -> None:
        """Receive and store until `stop`."""
        while not self._stopped:
            if not self._client.is_connected():
                self._come_back()
                continue
            self._read(POLL)
            if self._waiting and (len(self._waiting) >= BATCH or time.monotonic() >= self._due):
                self._store()
            self._client.loop_misc()
        self._client.disconnect()

    def _come_back(self) -> None:
        """Store what the old connection left, for the broker may have lost it; then connect again."""
        if self._waiting and not self._database.try_to_store(self._waiting):
            self._pause()
            return
        self._waiting = []
        if not self._connect():
            self._pause()

    def _connect(self) -> bool:
        host, port = self._broker.host, self._broker.port
        try:
            if self._broker.is_new:
                self._client.connect(host, port, 30, clean_start=False, properties=_session())
            else:  # the broker has settings of its own for what _session() asks for
                self._client.connect(host, port, 30)
        except OSError as error:
            log.warning("broker %s:%d: %s", host, port, error)
            return False
        until = time.monotonic() + LONGEST_WAIT
        while not self._client.is_connected() and self._client.socket() and time.monotonic() < until:
            self._read(POLL)
        return self._client.is_connected()

    def _read(self, timeout: float, limit: int = BATCH) -> None:
        """Read what the socket has; wait for the first of it."""
        while len(self._waiting) < limit and self._readable(timeout):
            timeout = 0.0
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
        if self._client.want_write():
            self._client.loop_write()

    def _readable(self, timeout: float) -> bool:
        sock = self._client.socket()
        if sock is None:
            return False
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        return bool(select.select([sock], [], [], timeout)[0])

    def _store(self) -> None:
        """Store what waits and acknowledge it. While the database is away, the broker keeps it."""
        if not self._database.try_to_store(self._waiting):
            self._client.disconnect()
            return
        stored, self._waiting, self._wait = self._waiting, [], 0.0
        for message in stored:
            self._read(0.0, limit=10 * BATCH)
            if not self._client.is_connected() or self._client.ack(message.mid, message.qos):
                return  # they come again, and are stored once

    def _pause(self) -> None:
        """Twice as long as the last time; a signal ends it."""
        self._wait = min(max(LINGER, 2 * self._wait), LONGEST_WAIT)
        until = time.monotonic() + self._wait
        while not self._stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LINGER))

    def _on_connect(
        self, client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, _: object
    ) -> None:
        if reason.is_failure:
            log.warning("the broker refuses: %s", reason)
            return
        log.info("connected; the session %s", "goes on" if flags.session_present else "is new")
        client.subscribe([(topic, 1) for topic in self._broker.topics])

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _: object
    ) -> None:
        refused = [topic for topic, why in zip(self._broker.topics, reasons, strict=True) if why.is_failure]
        if refused:
            log.warning("the broker refuses to send: %s", ", ".join(refused))
        log.info("subscribed to %d of %d topics", len(reasons) - len(refused), len(reasons))

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if not self._waiting:
            self._due = time.monotonic() + LINGER
        self._waiting.append(message)


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    made = argparse.ArgumentParser(description="Stores what boxes publish in PostgreSQL.")
    made.add_argument(
        "--broker", required=True, metavar="URL", help="mqtt://HOST[:PORT] or mqtts://HOST[:PORT]"
    )
    made.add_argument(
        "--ca", type=Path, metavar="FILE", help="the authority of the broker's certificate (mqtts)"
    )
    made.add_argument(
        "--protocol", choices=PROTOCOLS, default="5", help="of MQTT; Debian's RabbitMQ has 3.1.1"
    )
    made.add_argument("--user", default="")
    made.add_argument("--password-file", type=Path, metavar="FILE", help="its first line is the password")
    made.add_argument(
        "--client-id", default="instore-to-postgres", help="names the session that the broker keeps"
    )
    made.add_argument(
        "--database", default="", metavar="ADDRESS", help="as libpq has it; default: the PG... variables"
    )
    made.add_argument(
        "--prefix", default="instore", metavar="LEVELS", help="the first levels of every topic (mqtt.prefix)"
    )
    return made


def broker_of(arguments: argparse.Namespace) -> Broker:
    """The broker of the command line. Raises ValueError and OSError."""
    url = urlsplit(arguments.broker)
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
        raise ValueError(
            f"--broker = {arguments.broker}: is no address; allowed: mqtt://HOST:PORT, mqtts://HOST:PORT"
        )
    secure = url.scheme == "mqtts"
    tls = ssl.create_default_context(cafile=arguments.ca) if secure else None
    password = arguments.password_file.read_text().partition("\n")[0] if arguments.password_file else ""
    port = url.port or (8883 if secure else 1883)
    topics = tuple(f"{arguments.prefix}/{topic}" for topic in TOPICS)
    return Broker(
        url.hostname,
        port,
        tls,
        arguments.user,
        password,
        arguments.client_id,
        topics,
        PROTOCOLS[arguments.protocol],
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT: status 0; 2 for bad options, 1 where the database has no such schema."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    arguments = parser().parse_args(words)
    try:
        consumer = Consumer(broker_of(arguments), Database(arguments.database, arguments.prefix))
    except (ValueError, OSError) as error:
        log.error("%s", error)
        return 2
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, consumer.stop)
    try:
        consumer.run()
    except psycopg.ProgrammingError as error:  # also a wrong address; waiting would not help
        log.critical("the database refuses; apply schema.sql and grant the user its rights: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
