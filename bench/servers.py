"""Servers of one's own on loopback ports, for the bench of the fleet and the tests: brokers, databases."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from bench.box import ROOT

SCHEMA = ROOT / "deploy" / "fleet" / "schema.sql"
RABBITMQ = ROOT / "deploy" / "rabbitmq"
_START_WITHIN = 180.0
"""Seconds; RabbitMQ needs eight of a core."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own in it
_PATH = os.defpath + ":/usr/sbin:/usr/local/sbin"


def free_port() -> int:
    """A loopback port that nobody listens on, and that the kernel gives to nobody who does not ask for it.

    One of those that it hands out by itself might be somebody's before its owner has started.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(2_000, max(lowest, 12_000)), 500):
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise AssertionError("no port is free")


_given: set[int] = set()
"""Ports that somebody was told of already, who may not have started yet."""


def program(name: str, places: str = _PATH) -> str:
    """Where a program is, also one that Debian keeps off PATH. Raises FileNotFoundError."""
    found = shutil.which(name, path=places) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: make system-packages")
    return found


class Server(ABC):
    """A process that listens on `port` once it has logged `ready`; it keeps the port over a restart."""

    ready = ""
    ends_by = signal.SIGTERM
    dies_by = signal.SIGKILL

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self.dies_by)  # nothing of it is needed any more

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None, f"{type(self).__name__} does not run"
        return self._process.pid

    def start(self) -> None:
        """Start, and return when it listens."""
        process, ready = self._popen(), threading.Event()
        threading.Thread(target=self._read_log, args=(process, ready), daemon=True).start()
        self._process = process
        if not ready.wait(_START_WITHIN) or process.poll() is not None:
            raise RuntimeError(f"{type(self).__name__} does not start")

    def stop(self) -> None:
        """End it in order."""
        self._end(self.ends_by)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(self.dies_by)

    @abstractmethod
    def _popen(self) -> subprocess.Popen[str]:
        """Start the process; its standard error is a pipe."""

    def _read_log(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            if self.ready in line:
                ready.set()
        ready.set()  # it ended
        process.stderr.close()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START_WITHIN)
            self._process = None


class Mosquitto(Server):
    """A broker that keeps its messages in `folder`; `more` are further lines of its configuration.

    settings: of its listener, whose port is 8883 there; none: whoever connects may do everything.
    """

    ready = " running"

    def __init__(self, folder: Path, more: Iterable[str] = (), settings: Path | None = None) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "mosquitto.conf"
        text = settings.read_text() if settings else "listener 8883\nallow_anonymous true"
        lines = [
            text.replace("listener 8883", f"listener {self.port} 127.0.0.1"),
            "log_dest stderr",
            f"user {pwd.getpwuid(os.getuid()).pw_name}",
            "persistence true",
            f"persistence_location {folder}/",
        ]
        self._file.write_text("\n".join([*lines, *more, ""]))

    def _popen(self) -> subprocess.Popen[str]:
        command = [program("mosquitto"), "-c", str(self._file)]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


class RabbitMQ(Server):
    """A broker with the settings of deploy/rabbitmq; it keeps its messages in `folder`.

    keys: the folder of deploy/mosquitto/setup, in which deploy/rabbitmq/definitions.py has run.
    """

    ready = "Server startup complete"

    def __init__(self, folder: Path, keys: Path) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._names = folder, free_port()
        settings = (RABBITMQ / "rabbitmq.conf").read_text()
        settings = settings.replace("ssl.default = 8883", f"ssl.default = 127.0.0.1:{self.port}")
        settings = settings.replace("/etc/rabbitmq/instore", str(keys))
        log = ("log.file = false", "log.console = true", "log.console.stdio = stderr")
        (folder / "rabbitmq.conf").write_text("\n".join([settings, *log, ""]))

    @property
    def _environment(self) -> dict[str, str]:
        """One of its own, also for the daemon that names nodes (epmd)."""
        places = {"CONFIG_FILE": "rabbitmq.conf", "MNESIA_BASE": "data", "LOG_BASE": "log",
                  "PID_FILE": "pid", "GENERATED_CONFIG_DIR": "generated"}  # fmt: skip
        return {
            "PATH": _PATH, "HOME": str(self._folder), "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._names), "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": str(RABBITMQ / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(RABBITMQ / "enabled_plugins"),
            "RUNNING_UNDER_SYSTEMD": "1",  # its script then becomes the server
            **{f"RABBITMQ_{name}": str(self._folder / place) for name, place in places.items()},
        }  # fmt: skip

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        subprocess.run([program("epmd"), "-port", str(self._names), "-kill"], capture_output=True, check=True)

    def _popen(self) -> subprocess.Popen[str]:
        command = [program("rabbitmq-server", "/usr/lib/rabbitmq/bin")]
        return subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )


class Prometheus(Server):
    """A server that scrapes nobody: it has what was put into its folder, and evaluates these rules."""

    ready = "Server is ready to receive web requests."

    def __init__(self, folder: Path, rules: Path) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        text = f"global: {{evaluation_interval: 1s}}\nrule_files: [{rules}]\n"
        (folder / "prometheus.yml").write_text(text)

    def put(self, samples: str) -> None:
        """Add samples in the text format of OpenMetrics, before it starts."""
        file = self._folder / "samples"
        file.write_text(samples + "\n# EOF\n")
        command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(file)]
        subprocess.run([*command, str(self._folder / "data")], check=True, capture_output=True)

    def _popen(self) -> subprocess.Popen[str]:
        command = [program("prometheus"), f"--config.file={self._folder}/prometheus.yml"]
        command += [f"--storage.tsdb.path={self._folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


class PostgreSQL(Server):
    """A server with a cluster in a temporary folder.

    sync: wait for the disk at every commit, as a real one does; else the cluster is in memory. The server
    refuses to run as root, so root starts it as the user that Debian's package makes.
    """

    ready = "ready to accept connections"
    ends_by = signal.SIGINT  # closes the connections
    dies_by = (
        signal.SIGQUIT
    )  # writes nothing any more: the next start reads the log; leaves no process behind

    def __init__(self, *, sync: bool = False) -> None:
        super().__init__()
        self._sync = sync
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    @cached_property
    def folder(self) -> Path:
        """Where the cluster is; made at the first use."""
        memory = None if self._sync or not _MEMORY.is_dir() else _MEMORY
        folder = Path(tempfile.mkdtemp(prefix="instore-postgresql-", dir=memory))
        if self._as:
            os.chown(folder, self._as["user"], self._as["group"])
        command = [self._program("initdb"), "-D", str(folder / "data"), "-N", "-A", "trust"]
        command += ["-U", "instore", "-E", "UTF8", "--locale=C"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **self._as)
        return folder

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self.folder)

    def address(self, database: str = "postgres") -> str:
        """How libpq finds a database of it."""
        return f"host=127.0.0.1 port={self.port} user=instore dbname={database}"

    def run_sql(self, *arguments: str, database: str = "postgres") -> None:
        """psql with these arguments; a fault of the SQL is an exception."""
        command = ["psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-d", self.address(database)]
        environment = {**os.environ, "PGOPTIONS": "--client-min-messages=warning"}
        subprocess.run([*command, *arguments], check=True, env=environment)

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database; its address."""
        self.run_sql("-c", f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.address(database)

    def _popen(self) -> subprocess.Popen[str]:
        command = [self._program("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        command += ["-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        if not self._sync:
            command += ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "jit=off"]
        return subprocess.Popen(
            command, cwd=self.folder, stderr=subprocess.PIPE, text=True, env={"LC_ALL": "C"}, **self._as
        )

    @staticmethod
    def _program(name: str) -> str:
        """The one of the newest version."""
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[4]))
        return program(name, ":".join(map(str, reversed(folders))))
