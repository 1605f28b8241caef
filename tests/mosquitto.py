"""A real mosquitto on a loopback port, and a subscriber that collects what it is sent."""

from __future__ import annotations

import getpass
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench import servers
from tests.patience import PATIENCE

free_port = servers.free_port


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


class Mosquitto:
    """A broker with its configuration in `folder`; start, stop, kill and restart keep port and configuration.

    users: name to password (none: anonymous clients are let in). acl: the text of an ACL file. tls: a server
    certificate for 127.0.0.1 and localhost, signed by the throw-away CA in `ca_file`, unless there are some.
    """

    def __init__(
        self,
        folder: Path,
        users: dict[str, str] | None = None,
        acl: str = "",
        tls: bool = False,
        extra: Sequence[str] = (),
    ) -> None:
        self.host, self.port = "127.0.0.1", free_port()
        self.ca_file = folder / "ca.pem" if tls else None
        self._prepare(folder)
        if tls and not (folder / "ca.pem").exists():
            make_certificates(folder)
        self._write_configuration(bool(users), acl, tls, extra)
        self.set_users(users or {})

    def _prepare(self, folder: Path) -> None:
        if not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()):
            pytest.fail("mosquitto is not installed: make system-packages")
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._log: list[str] = []
        self._logged = threading.Condition()
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and return when it listens."""
        assert self._process is None, "mosquitto runs already"
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen(
            [program, "-c", str(self._folder / "mosquitto.conf")], stderr=subprocess.PIPE, text=True
        )
        started = len(self._log)
        threading.Thread(target=self._read_log, args=(self._process,), daemon=True).start()
        self.wait_for_log(lambda line: line.endswith("running"), since=started)

    def stop(self) -> None:
        """End it with SIGTERM: it says goodbye to its clients."""
        self._end(lambda process: process.terminate())

    def kill(self) -> None:
        """End it with SIGKILL: its clients find a dead socket."""
        self._end(lambda process: process.kill())

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def set_users(self, users: dict[str, str]) -> None:
        """Write the password file; a running broker reads it at `restart`."""
        path = self._folder / "passwords"
        path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        path.chmod(0o600)
        if users:
            subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True)

    def wait_for_log(self, wanted: Callable[[str], bool], since: int = 0) -> None:
        """Wait until the broker has logged such a line."""
        with self._logged:
            found = self._logged.wait_for(lambda: any(map(wanted, self._log[since:])), PATIENCE)
        assert found, "mosquitto did not log what was waited for:\n" + "\n".join(self._log[since:])

    def _write_configuration(self, password: bool, acl: str, tls: bool, extra: Iterable[str]) -> None:
        lines = [
            f"listener {self.port} {self.host}",
            f"allow_anonymous {str(not password).lower()}",
            f"user {getpass.getuser()}",
            "log_dest stderr",
            "persistence false",
            "max_inflight_messages 0",  # straight into the subscriber's socket, so that a kill loses nothing
            *extra,
        ]
        if password:
            lines.append(f"password_file {self._folder / 'passwords'}")
        if acl:
            (self._folder / "acl").write_text(acl)
            lines.append(f"acl_file {self._folder / 'acl'}")
        if tls:
            lines += [f"certfile {self._folder / 'server.pem'}", f"keyfile {self._folder / 'server.key'}"]
        (self._folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def _read_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._logged:
                self._log.append(line.rstrip())
                self._logged.notify_all()
        process.stderr.close()

    def _end(self, how: Callable[[subprocess.Popen[str]], None]) -> None:
        if self._process is not None:
            how(self._process)
            self._process.wait(PATIENCE)
            self._process = None


def make_certificates(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1", days: int = 1) -> None:
    """A CA (ca.pem, ca.key) and a server certificate for `names` (server.pem, server.key), for one day.

    days: of the server's certificate; it has expired where there are fewer than none.
    """
    new_key = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-x509", "-days", "1", "-subj", "/CN=test CA", "-addext", "keyUsage=keyCertSign"]
    sign = [
        "openssl",
        "x509",
        "-req",
        "-days",
        str(days),
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
    ]
    (folder / "names").write_text(f"subjectAltName={names}\n")
    for command in (
        [*new_key, *authority, "-keyout", "ca.key", "-out", "ca.pem"],
        [*new_key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"],
        [*sign, "-in", "server.csr", "-extfile", "names", "-out", "server.pem"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


@dataclass(frozen=True, slots=True)
class Received:
    """A message as the subscriber got it. retained: it lay with the broker before we subscribed."""

    topic: str
    payload: bytes
    retained: bool
    qos: int


class Subscriber:
    """Subscribes to `topics` and keeps every message; entered, it returns when the broker has agreed."""

    def __init__(
        self,
        broker: Mosquitto,
        *topics: str,
        user: str = "",
        password: str = "",
        client_id: str = "",
    ) -> None:
        self.messages: list[Received] = []
        self._topics = topics
        self._subscribed = False
        self._lost = threading.Event()
        self._changed = threading.Condition()
        self._broker = broker
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = lambda *_: self._lost.set()
        if user:
            self._client.username_pw_set(user, password)
        if broker.ca_file:
            self._client.tls_set_context(ssl.create_default_context(cafile=broker.ca_file))

    def __enter__(self) -> Self:
        self._client.connect(self._broker.host, self._broker.port)
        self._client.loop_start()
        with self._changed:
            assert self._changed.wait_for(lambda: self._subscribed, PATIENCE), (
                "the broker let nobody subscribe"
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_for_loss(self) -> None:
        """Wait until the broker has gone: all that it sent has been read by then."""
        assert self._lost.wait(PATIENCE), "the broker is still there"

    def on(self, topic: str) -> list[bytes]:
        """The payloads that came on this topic so far, in order."""
        with self._changed:
            return [message.payload for message in self.messages if message.topic == topic]

    def wait_for(
        self, predicate: Callable[[list[Received]], bool], timeout: float = PATIENCE
    ) -> list[Received]:
        """Wait until the messages so far fulfil `predicate`; they are returned."""
        with self._changed:
            assert self._changed.wait_for(lambda: predicate(self.messages), timeout), (
                f"not fulfilled within {timeout} s by {len(self.messages)} messages: {self.messages[-5:]}"
            )
            return list(self.messages)

    def wait_for_topic(self, topic: str, count: int = 1, timeout: float = PATIENCE) -> list[bytes]:
        """Wait for so many messages on a topic; their payloads."""
        self.wait_for(lambda messages: sum(m.topic == topic for m in messages) >= count, timeout)
        return self.on(topic)

    def _on_connect(self, client: Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(self, *_: Any) -> None:
        with self._changed:
            self._subscribed = True
            self._changed.notify_all()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        with self._changed:
            self.messages.append(Received(message.topic, bytes(message.payload), message.retain, message.qos))
            self._changed.notify_all()
