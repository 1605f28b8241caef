"""The demo's own MQTT broker on a free loopback port: mosquitto where it is installed, else amqtt.

mosquitto runs as a child process and speaks MQTT 5; amqtt runs embedded, on a thread with its own event loop,
and speaks 3.1.1 only. Neither keeps anything on disk but mosquitto's configuration and log in a folder that
the caller gives and removes.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import os
import pwd
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.clock import Clock, SystemClock
from edge.errors import BrokerError

HOST = "127.0.0.1"
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that accepts connections: where it listens, what it is, and the newest MQTT it speaks."""

    host: str
    port: int
    kind: str
    protocol: Literal["5", "3.1.1"]

    @property
    def url(self) -> str:
        """`mqtt://host:port`."""
        return f"mqtt://{self.host}:{self.port}"


@contextmanager
def start_broker(directory: Path, *, clock: Clock | None = None) -> Iterator[Broker]:
    """The best broker this machine has, for as long as the context lasts.

    `directory` must exist and takes mosquitto's configuration and log. Raises BrokerError where neither
    broker is installed, or where the one that is does not come up within ten seconds.
    """
    clock = clock or SystemClock()
    program = find_mosquitto()
    with start_mosquitto(program, directory, clock) if program else start_amqtt(clock) as broker:
        yield broker


def find_mosquitto() -> str | None:
    """The path of mosquitto; /usr/sbin is looked at too, for Debian users do not have it on PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def start_mosquitto(program: str, directory: Path, clock: Clock) -> Iterator[Broker]:
    """mosquitto as a child process, its output in `directory`/mosquitto.log."""
    port = _free_port()
    settings = directory / "mosquitto.conf"
    settings.write_text(_mosquitto_settings(port), encoding="utf-8")
    log_path = directory / "mosquitto.log"
    with log_path.open("wb") as log:
        # In a session of its own: the terminal's Ctrl-C is for the demo, which still has windows to send.
        process = subprocess.Popen(
            [program, "-c", str(settings)], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            if not _accepts(port, clock, gone=lambda: process.poll() is not None):
                raise BrokerError(f"mosquitto does not come up: {_last_line(log_path)}")
            yield Broker(HOST, port, f"mosquitto {_mosquitto_version(program)}".strip(), "5")
        finally:
            _end(process)


@contextmanager
def start_amqtt(clock: Clock) -> Iterator[Broker]:
    """amqtt on a thread of this process. Raises BrokerError where it is not installed."""
    try:
        version = importlib.metadata.version("amqtt")
    except importlib.metadata.PackageNotFoundError as error:
        raise BrokerError(
            "no broker for the demo: install mosquitto, or the extra instore-analytics[demo], "
            "or name a broker with --broker"
        ) from error
    # amqtt logs every connection, and an error for every client that goes without a word.
    for library in ("amqtt", "transitions", "passlib"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    port = _free_port()
    embedded = _EmbeddedAmqtt(port)
    embedded.start()
    try:
        if not _accepts(port, clock, gone=lambda: not embedded.is_alive()):
            raise BrokerError(f"amqtt does not come up: {embedded.failure or 'no answer'}")
        yield Broker(HOST, port, f"amqtt {version} (embedded)", "3.1.1")
    finally:
        embedded.stop()


class _EmbeddedAmqtt(threading.Thread):
    """amqtt and its event loop; `stop` ends both."""

    def __init__(self, port: int) -> None:
        super().__init__(name="demo-broker", daemon=True)
        self.failure: Exception | None = None
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._enough = asyncio.Event()

    def run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller's thread reports it
            self.failure = error
        finally:
            self._loop.close()

    def stop(self) -> None:
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._enough.set)
        self.join(_STOP_SECONDS)

    async def _serve(self) -> None:
        from amqtt.broker import Broker as AmqttBroker

        broker = AmqttBroker(_amqtt_settings(self._port))
        await broker.start()
        await self._enough.wait()
        await broker.shutdown()
        # Connections that are still open would be reported as destroyed while pending.
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _mosquitto_settings(port: int) -> str:
    """Loopback only, anonymous, nothing kept. mosquitto gives up root for `user`, and then could not log."""
    user = pwd.getpwuid(os.getuid()).pw_name
    return "\n".join(
        [
            f"listener {port} {HOST}",
            "allow_anonymous true",
            "persistence false",
            "log_type error",
            "log_type warning",
            f"user {user}",
            "",
        ]
    )


def _amqtt_settings(port: int) -> dict[str, object]:
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }


def _mosquitto_version(program: str) -> str:
    """Its number as `mosquitto -h` tells it; empty where it does not."""
    told = subprocess.run([program, "-h"], capture_output=True, text=True, timeout=5, check=False).stdout
    found = re.search(r"version (\S+)", told)
    return found[1] if found else ""


def _free_port() -> int:
    """A loopback port that was free a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int, clock: Clock, gone: Callable[[], bool]) -> bool:
    """Wait until something accepts connections on `port`; False when `gone` says so or time is up."""
    never = threading.Event()
    deadline = clock.monotonic() + _START_SECONDS
    while clock.monotonic() < deadline and not gone():
        with closing(socket.socket()) as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((HOST, port)) == 0:
                return True
        clock.wait(never, _POLL_SECONDS)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")
