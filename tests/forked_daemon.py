"""The painted daemon in a process that is forked from one that has imported its libraries.

A start by the interpreter takes a second, most of it for imports. A test that starts the daemon dozens of
times forks it instead; from the command line on, all is the same.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from multiprocessing.connection import Connection

from tests.daemon import Daemon
from tests.patience import PATIENCE

CONTEXT = multiprocessing.get_context("forkserver")


class ForkedDaemon(Daemon):
    """`tests.painted_daemon run` on a configuration, forked."""

    def _start(self, words: Sequence[str]) -> ForkedProcess:
        return ForkedProcess(words)


class ForkedProcess:
    """As much of `subprocess.Popen` as `Daemon` uses."""

    def __init__(self, words: Sequence[str]) -> None:
        CONTEXT.set_forkserver_preload(["tests.painted_daemon"])
        reader, writer = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=_run, args=(words, writer))
        self._process.start()
        writer.close()
        self.stderr = TextIOWrapper(os.fdopen(os.dup(reader.fileno()), "rb"))
        reader.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit status. Raises TimeoutError."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError
        return self._process.exitcode

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _run(words: Sequence[str], stderr: Connection) -> None:
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    from tests.painted_daemon import run

    sys.exit(run(words))
