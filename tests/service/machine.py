"""A machine of its own for the service: a clean Debian that systemd boots in a container, without a network.

Its root is made once by debootstrap, from the mirror that this machine's apt uses, and kept in build/service;
every boot lays a throw-away layer over it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds that a condition may take: a whole machine boots, on one that has other work."""

LOOK = 0.2
"""Seconds between two looks at what another process does."""

PLUMBING = ("systemd", "systemd-sysv", "dbus", "mosquitto", "mosquitto-clients", "procps")
"""What the machine has beside what the package depends on; the broker stands in for the store's."""

SETTING = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "SYSTEMD_PAGER": ""}


def make_root(root: Path, packages: Sequence[str], release: str = "") -> None:
    """Debian of this or this machine's release with these packages, unless it is there; a minute or two."""
    wanted = "\n".join(sorted({*PLUMBING, *packages}))
    made = root / "etc" / "made-of"
    if made.exists() and made.read_text() == wanted:
        return
    shutil.rmtree(root, ignore_errors=True)
    codename, mirror = _release()
    codename = release or codename
    subprocess.run(
        [
            "debootstrap",
            "--variant=minbase",
            f"--include={wanted.replace(chr(10), ',')}",
            codename,
            root,
            mirror,
        ],
        check=True,
    )
    shutil.rmtree(root / "var" / "cache" / "apt", ignore_errors=True)
    # The tests start the broker with a configuration of their own.
    (root / "etc" / "systemd" / "system" / "multi-user.target.wants" / "mosquitto.service").unlink(
        missing_ok=True
    )
    made.write_text(wanted)


def _release() -> tuple[str, str]:
    """This machine's Debian release and the mirror that apt takes it from."""
    with Path("/etc/os-release").open() as file:
        facts = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    codename = facts["VERSION_CODENAME"].strip('"')
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(
        [*targets, "Origin: Debian", f"Codename: {codename}"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert found, f"apt knows no Debian mirror for {codename}: apt-get update"
    return codename, found[0]


class Machine:
    """The booted container: entered it runs, left it is gone with all that was written.

    binds: folder or file of this machine to its place in the container, read-only.
    """

    def __init__(self, root: Path, binds: Mapping[Path, str], log: Path) -> None:
        self._command = [
            "systemd-nspawn", "--quiet", f"--directory={root}", "--boot", "--register=no", "--keep-unit",
            "--private-network", "--volatile=overlay", "--console=pipe", "--machine=store",
            *(f"--bind-ro={source}:{target}" for source, target in binds.items()),
        ]  # fmt: skip
        self._log = log
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        # Two would share one control group, and each systemd take it for its own.
        self._alone = (Path(tempfile.gettempdir()) / "instore-machine.lock").open("w")
        fcntl.flock(self._alone, fcntl.LOCK_EX)
        with self._log.open("wb") as log:
            self._nspawn = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._leader = wait_for(self._init, "the container has no init", self.console)
            wait_for(self._is_up, "systemd did not boot", self.console)
        except BaseException:  # whatever it was, nobody else would end the container
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._nspawn is not None
        with suppress(ProcessLookupError):
            if self._leader:
                os.kill(self._leader, signal.SIGRTMIN + 4)  # poweroff.target, see systemd(1)
        try:
            self._nspawn.wait(PATIENCE / 5)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._alone.close()

    def console(self) -> str:
        """What the container printed while it booted."""
        return self._log.read_text(errors="replace")

    def run(self, *command: str, check: bool = True, stdin: str | None = None) -> str:
        """What a command prints in the container, both streams; it fails the test unless `check` is off."""
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")
        done = subprocess.run(
            ["nsenter", f"--target={self._leader}", *spaces, "--", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=SETTING,
            input=stdin,
            timeout=PATIENCE,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{' '.join(command)}: status {done.returncode}\n{done.stdout}"
        )
        return done.stdout

    def succeeds(self, *command: str) -> bool:
        """Whether a command ends with status 0 in the container."""
        return (
            self.run("sh", "-c", '"$@" >/dev/null 2>&1 && echo yes || true', "sh", *command).strip() == "yes"
        )

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file into the container, with the folders that it needs."""
        self.run(
            "sh",
            "-c",
            f'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod {mode:o} "$1"',
            "sh",
            path,
            stdin=text,
        )

    def journal(self, unit: str) -> str:
        """All that the journal holds of a unit, and what systemd itself said of it."""
        return self.run("journalctl", "--no-pager", "--output=short-monotonic", "--unit", unit)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def wait_until(self, condition: Callable[[], object], what: str, unit: str) -> None:
        """Wait for a condition; where it does not come true the unit's journal is told."""
        wait_for(condition, what, lambda: self.journal(unit))

    def _init(self) -> int:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, f"systemd-nspawn ended: {self.console()}"
        pid = self._nspawn.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def _is_up(self) -> bool:
        # Looked up anew: the first child of systemd-nspawn only makes the one that becomes init, and ends.
        self._leader = self._init() or self._leader
        state = self.run("systemctl", "is-system-running", check=False).strip()
        return state in ("running", "degraded")


def wait_for(condition: Callable[[], T], what: str, evidence: Callable[[], str]) -> T:
    """The first true value of a condition, looked at now and then: systemd tells nobody outside."""
    until = time.monotonic() + PATIENCE
    while True:
        if found := condition():
            return found
        assert time.monotonic() < until, f"{what} within {PATIENCE:g} s\n{evidence()}"
        time.sleep(LOOK)
