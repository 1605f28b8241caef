"""The daemon as the process that systemd would start, on a configuration that a test writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from edge.config.tables.writing import to_toml
from tests.patience import PATIENCE


class Process(Protocol):
    """As much of `subprocess.Popen` as `Daemon` uses; `tests/forked_daemon.py` has another."""

    @property
    def pid(self) -> int: ...

    @property
    def stderr(self) -> IO[str] | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float = ...) -> int: ...

    def kill(self) -> None: ...

    def send_signal(self, number: signal.Signals, /) -> None: ...


class Daemon:
    """`instore-edge run` on these tables; everything it logs is kept.

    module: what Python runs, such as `tests.painted_daemon`, which is the daemon but for its detectors.
    within: the beginning of a command line that executes the rest of it. options: its end.
    """

    def __init__(
        self,
        folder: Path,
        tables: dict[str, Any],
        *,
        environment: dict[str, str] | None = None,
        module: str = "edge",
        within: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self._within = within
        self._options = options
        self._module = module
        self._config = folder / "config.toml"
        self._config.write_text(to_toml(tables))
        self._environment = {**os.environ, **(environment or {})}
        self._lines: list[str] = []
        self._silent = False
        self._changed = threading.Condition()
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self._process = self._start(["run", "--config", str(self._config), *self._options])
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return self

    def _start(self, words: Sequence[str]) -> Process:
        command = [*self._within, sys.executable, "-m", self._module, *words]
        return subprocess.Popen(command, env=self._environment, stderr=subprocess.PIPE, text=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def log(self) -> str:
        """All that it has said."""
        with self._changed:
            return "\n".join(self._lines)

    def wait_for_line(self, wanted: Callable[[str], bool]) -> str:
        """The first line of its log that is wanted; one that has ended is not waited for."""
        with self._changed:
            self._changed.wait_for(lambda: self._silent or any(map(wanted, self._lines)), PATIENCE)
            found = next(filter(wanted, self._lines), None)
        assert found, "the daemon did not say what was waited for:\n" + self.log
        return str(found)

    def wait(self) -> int:
        """Its exit status, once it ends by itself."""
        assert self._process is not None
        try:
            return self._process.wait(PATIENCE)
        except (subprocess.TimeoutExpired, TimeoutError):
            raise AssertionError(f"the daemon does not end: {self._tasks()}\n{self.log}") from None

    def _tasks(self) -> list[str]:
        """Name, state and the system call of each of its threads, for a person who has to find out why."""
        tasks = sorted(Path(f"/proc/{self.pid}/task").iterdir())
        stats = [(task / "stat").read_text().rpartition(")") for task in tasks]
        calls = [(task / "syscall").read_text().split()[0] for task in tasks]
        return [f"{stat[0]}) {stat[2][:2]} {call}" for stat, call in zip(stats, calls, strict=True)]

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut does."""
        self.send(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """Its exit status after SIGTERM."""
        self.send(signal.SIGTERM)
        return self.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        assert self._process is not None
        self._process.send_signal(number)

    def reload(self, tables: dict[str, Any] | str) -> None:
        """Change the file, to tables or to a text that may be no configuration, and send SIGHUP."""
        self._config.write_text(tables if isinstance(tables, str) else to_toml(tables))
        self.send(signal.SIGHUP)

    @property
    def running(self) -> bool:
        """Whether it has not ended by itself."""
        assert self._process is not None
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def _read(self, process: Process) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._changed:
                self._lines.append(line.rstrip())
                self._changed.notify_all()
        process.stderr.close()
        with self._changed:
            self._silent = True
            self._changed.notify_all()
