"""The demo's own MQTT broker on a free loopback port: mosquitto where it is installed, else amqtt.

mosquitto runs as a child process and speaks MQTT 5; amqtt runs in a thread with its own event loop,
and speaks 3.1.1 only. Nothing is written to disk except mosquitto's configuration and log, in a folder that
the caller provides and removes.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import math
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
from edge.daemon.threads import Threads
from edge.errors import BrokerError
from edge.ops.heartbeats import Heartbeats

HOST = "127.0.0.1"
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that accepts connections: its address, program and version, and the newest MQTT it speaks."""

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
    """Run the best broker this machine has inside the block.

    directory: exists, and receives mosquitto's configuration and log. Raises BrokerError where no broker is
    installed, or where it does not accept connections within ten seconds.
    """
    clock = clock or SystemClock()
    program = find_mosquitto()
    with start_mosquitto(program, directory, clock) if program else start_amqtt(clock) as broker:
        yield broker


def find_mosquitto() -> str | None:
    """The path of mosquitto, on PATH or in /usr/sbin, which Debian leaves out of a user's PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def start_mosquitto(program: str, directory: Path, clock: Clock) -> Iterator[Broker]:
    """mosquitto as a child process, its output in `directory`/mosquitto.log."""
    port = _free_port()
    settings = directory / "mosquitto.conf"
    settings.write_text(_mosquitto_settings(port), encoding="utf-8")
    log_path = directory / "mosquitto.log"
    with log_path.open("wb") as log:
        # In its own session, because Ctrl-C must not stop it: the demo still has messages to send.
        process = subprocess.Popen(
            [program, "-c", str(settings)], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            if not _accepts(port, clock, gone=lambda: process.poll() is not None):
                raise BrokerError(f"mosquitto does not start: {_last_line(log_path)}")
            yield Broker(HOST, port, f"mosquitto {_mosquitto_version(program)}".strip(), "5")
        finally:
            _end(process)


@contextmanager
def start_amqtt(clock: Clock) -> Iterator[Broker]:
    """amqtt in a thread of this process. Raises BrokerError where it is not installed or does not start."""
    try:
        version = importlib.metadata.version("amqtt")
    except importlib.metadata.PackageNotFoundError as error:
        raise BrokerError(
            "the demo found no broker; install mosquitto, or the extra instore-analytics[demo], "
            "or name a broker with --broker"
        ) from error
    # amqtt logs every connection, and an error for every client that disconnects without saying so.
    for library in ("amqtt", "transitions", "passlib"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    port = _free_port()
    embedded = _EmbeddedAmqtt(port, clock)
    embedded.start()
    try:
        if not _accepts(port, clock, gone=lambda: not embedded.is_alive()):
            raise BrokerError(f"amqtt does not start: {embedded.failure or 'no answer'}")
        yield Broker(HOST, port, f"amqtt {version} (embedded)", "3.1.1")
    finally:
        embedded.stop()


class _EmbeddedAmqtt:
    """amqtt and its event loop in a thread; `stop` ends both."""

    def __init__(self, port: int, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._threads = Threads(Heartbeats(clock, math.inf), clock, on_failure=lambda: None)
        self._thread = self._threads.make("demo-broker", lambda _: self._run(), watched=False)
        self.start, self.is_alive = self._thread.start, self._thread.is_alive

    @property
    def failure(self) -> BaseException | None:
        """What ended the thread before `stop`."""
        return self._threads.failure

    def stop(self) -> None:
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._threads.join([self._thread], self._clock.monotonic() + _STOP_SECONDS)

    def _run(self) -> None:
        with closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        from amqtt.broker import Broker as AmqttBroker

        broker = AmqttBroker(_amqtt_settings(self._port))
        await broker.start()
        await self._stop.wait()
        await broker.shutdown()
        # Connections that are still open would be reported as destroyed while pending.
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _mosquitto_settings(port: int) -> str:
    """Loopback only, anonymous, nothing kept. `user` concerns root alone: mosquitto's own could not log."""
    return "\n".join(
        [
            f"listener {port} {HOST}",
            "allow_anonymous true",
            "persistence false",
            "log_type error",
            "log_type warning",
            "user root",
            "",
        ]
    )


def _amqtt_settings(port: int) -> dict[str, object]:
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }


def _mosquitto_version(program: str) -> str:
    """The version that `mosquitto -h` prints; empty where it prints none."""
    usage = subprocess.run([program, "-h"], capture_output=True, text=True, timeout=5, check=False).stdout
    found = re.search(r"version (\S+)", usage)
    return found[1] if found else ""


def _free_port() -> int:
    """A loopback port that was free a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int, clock: Clock, gone: Callable[[], bool]) -> bool:
    """Wait until `port` accepts connections; False where the broker is `gone` or does not answer in time."""
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
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
