"""A disk that is full, read-only, slow, failing or wrong: counting goes on, and no window is lost."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.integration.scrape import ANALYSED, metric, wait_for_metric
from tests.integration.series import check_series
from tests.mosquitto import Mosquitto, Subscriber, free_port
from tests.painted_daemon import write_crowd

TOPIC = "instore/store/door/all/counts"
FAILURES = "instore_outbox_failures_total"


def tables(folder: Path, **mqtt: Any) -> dict[str, Any]:
    """An endless recording at its own pace, in windows of one second."""
    clip = folder / "crowd"
    if not clip.exists():
        write_crowd(clip, 8, frames=5, gap=10)
    return {
        "cameras": [{"name": "door", "source": str(clip), "loop": True, "max_fps": 10.0, "tile": 0}],
        "windows": {"length": 1, "lateness": 0.5},
        "tracking": {"lost_after": 0.5},
        "privacy": {"minimum": 1},
        "metrics": {"port": free_port()},
        "outbox": {"directory": str(folder / "state")},
        "mqtt": mqtt,
    }


def on_tmpfs(state: Path, options: str) -> list[str]:
    """Runs a command that has a file system of its own in memory at `state`."""
    state.mkdir(exist_ok=True)
    script = f'mount -t tmpfs -o {options} none "{state}" && exec "$@"'
    # Not every kernel lets anybody be root somewhere.
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *as_root, "--mount", "sh", "-c", script, "sh"]


@contextmanager
def failing(daemon: Daemon, state: Path, how: str) -> Iterator[None]:
    """Have the system calls that write the outbox fail, or take long, while the block runs."""
    calls = "pwrite64,fdatasync,fsync,ftruncate"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(daemon.pid), "-e", f"trace={calls}"]
    for name in ("outbox.db", "outbox.db-wal"):
        command += ["-P", str(state / name)]
    with subprocess.Popen([*command, "-e", f"inject={calls}:{how}"], stderr=subprocess.PIPE) as tracer:
        try:
            yield
        finally:
            tracer.terminate()
            assert tracer.stderr is not None
            said = tracer.stderr.read().decode()
    assert "attach" not in said, said  # it was not let in


def may_trace() -> bool:
    """Whether this user may interfere with the system calls of its own processes (Yama, see ptrace(2))."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return not scope.exists() or int(scope.read_text()) < (3 if os.geteuid() == 0 else 1)


@pytest.mark.skipif(not may_trace(), reason="kernel.yama.ptrace_scope lets this user fail no system calls")
def test_a_disk_that_fails_slows_down_or_turns_read_only_loses_no_window(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker, Subscriber(broker, TOPIC) as subscriber:
        configured = tables(tmp_path, host=broker.host, port=broker.port)
        port = configured["metrics"]["port"]
        with Daemon(tmp_path, configured, module="tests.painted_daemon") as daemon:
            subscriber.wait_for_topic(TOPIC, 2)
            for how in ("error=EIO", "error=EROFS", "error=ENOSPC", "delay_enter=300000"):
                failures, seen = metric(port, FAILURES), metric(port, ANALYSED)
                with failing(daemon, tmp_path / "state", how):
                    if how.startswith("error"):  # once the tracer has every thread
                        wait_for_metric(port, FAILURES, lambda count, before=failures: count > before)
                    # Counting goes on meanwhile.
                    wait_for_metric(port, ANALYSED, lambda count, before=seen: count >= before + 30)
                if how.startswith("error"):
                    assert "closed windows and the open ones are kept in memory" in daemon.log
                came = len(subscriber.on(TOPIC))
                subscriber.wait_for_topic(TOPIC, came + 4)
            assert daemon.stop() == 0
    windows = {json.loads(payload)["window_id"]: json.loads(payload) for payload in subscriber.on(TOPIC)}
    check_series(list(windows.values()))


def test_a_full_disk_loses_no_window_and_recovers_by_itself(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Mosquitto(tmp_path / "broker") as broker, Subscriber(broker, TOPIC) as subscriber:
        configured = tables(tmp_path, host=broker.host, port=broker.port)
        tmpfs = on_tmpfs(state, "size=512k")
        with Daemon(tmp_path, configured, module="tests.painted_daemon", within=tmpfs) as daemon:
            subscriber.wait_for_topic(TOPIC, 2)
            # Seen from outside, through the daemon's own root.
            filler = Path(f"/proc/{daemon.pid}/root{state}/filler")
            with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 512)
            daemon.wait_for_line(lambda line: "disk is full" in line and "are kept in memory" in line)
            filler.unlink()
            came = len(subscriber.on(TOPIC))
            subscriber.wait_for_topic(TOPIC, came + 8)
            assert daemon.stop() == 0
    windows = {json.loads(payload)["window_id"]: json.loads(payload) for payload in subscriber.on(TOPIC)}
    check_series(list(windows.values()))


@pytest.mark.parametrize("options", ["ro", "size=4k"])
def test_a_start_on_a_disk_that_takes_nothing_is_left_to_systemd(tmp_path: Path, options: str) -> None:
    """Status 1, not 2: a disk may recover, and nobody need come for the next attempt."""
    within = on_tmpfs(tmp_path / "state", options)
    with Daemon(tmp_path, tables(tmp_path), module="tests.painted_daemon", within=within) as daemon:
        assert daemon.wait() == 1
    assert str(tmp_path / "state") in daemon.log
    assert "Traceback" not in daemon.log


def test_an_outbox_that_cannot_be_used_is_moved_aside_and_counting_goes_on(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "outbox.db").write_bytes(b"once it was a database" * 500)
    with Mosquitto(tmp_path / "broker") as broker, Subscriber(broker, TOPIC) as subscriber:
        configured = tables(tmp_path, host=broker.host, port=broker.port)
        with Daemon(tmp_path, configured, module="tests.painted_daemon") as daemon:
            subscriber.wait_for_topic(TOPIC, 1)
            assert (
                metric(configured["metrics"]["port"], 'instore_outbox_set_aside_total{reason="damaged"}') == 1
            )
            assert daemon.stop() == 0
    (aside,) = state.glob("outbox.db.damaged-*")
    assert aside.read_bytes() == b"once it was a database" * 500
