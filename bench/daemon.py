"""The daemon seen from outside: a process on a looped recording, read from /metrics and /proc."""

from __future__ import annotations

import compileall
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.box import ROOT
from bench.material import Material, picture_size
from bench.servers import Mosquitto, free_port, program
from bench.stages import FPS

TICKS = os.sysconf("SC_CLK_TCK")

GIVE_UP = 60.0
"""A daemon fails when it gives no frame within so many seconds."""

WARM_UP = 3.0
"""Seconds from the first analysed frame until the daemon's work is measured."""

POLL = 0.02
"""Seconds between two checks of a starting daemon: the resolution of its start-up time."""

MILESTONES = {" model ": "age_model_s", " ready: ": "ready_s"}
"""Lines of the daemon's log before the first frame, and the report's names for these moments."""

Report = dict[str, Any]


def start_ups(
    material: Material, repeats: int, broker: int | None, step: Callable[[str], None]
) -> list[Report]:
    """Starts of the daemon, each in its own process; its modules are compiled, as the package does it."""
    compileall.compile_dir(ROOT / "edge", quiet=1)
    starts = []
    for number in range(repeats):
        step(f"start {number + 1} of {repeats}")
        with Daemon(material.large, 540, broker) as daemon:
            starts.append(daemon.first_frame())
    return starts


def work_of_daemons(
    material: Material, seconds: float, broker: int | None, step: Callable[[str], None]
) -> list[Report]:
    """A daemon at work on the large clip with tiles and without, and on the small one."""
    cases = (
        ("large, whole picture", material.large, 0),
        ("large, tiles", material.large, 540),
        ("small, whole picture", material.small, 0),
    )
    found = []
    for name, clip, tile in cases:
        step(f"daemon at work for {seconds:g} s: {name}")
        with Daemon(clip, tile, broker) as daemon:
            daemon.first_frame()
            found.append({"case": name, "size": picture_size(clip), **daemon.work(seconds)})
    return found


class Daemon:
    """`instore-edge run` on one looped recording in real time."""

    def __init__(self, clip: Path, tile: int, broker: int | None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="instore-bench-")
        self._url = f"http://127.0.0.1:{(port := free_port())}/metrics"
        config = Path(self._folder.name) / "config.toml"
        config.write_text(configuration(clip, tile, broker or 1, port, self._folder.name))
        self._command = [sys.executable, "-m", "edge", "run", "--config", str(config)]
        self._seen: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.begun = time.monotonic()
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        self._log: list[str] = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._folder.cleanup()

    def first_frame(self) -> Report:
        """Wait for the first analysed frame; seconds from the start to that and to what comes before."""
        self._wait_for(lambda: bool(self.counters().get("analysed")))
        frame = time.monotonic() - self.begun
        self._wait_for(lambda: MILESTONES.keys() <= self._seen.keys())
        return {**{MILESTONES[text]: at for text, at in self._seen.items()}, "frame_s": frame}

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._process.poll() is not None or time.monotonic() - self.begun > GIVE_UP:
                raise SystemExit("the daemon analysed no frame:\n" + "\n".join(self._log))
            time.sleep(POLL)

    def counters(self) -> dict[str, float]:
        """Frames analysed and dropped so far; empty while the daemon does not answer."""
        try:
            with urllib.request.urlopen(self._url, timeout=5) as page:  # noqa: S310 - our own loopback
                text = page.read().decode()
        except OSError:
            return {}
        return {
            "analysed": _sum(text, r"instore_frames_analysed_total\{.*?\} (\S+)"),
            "dropped": _sum(text, r"instore_frames_dropped_total\{.*?\} (\S+)"),
        }

    def work(self, seconds: float) -> Report:
        """Processor time and frames per second over so many seconds, and the memory at the end."""
        time.sleep(WARM_UP)
        at, cpu, before = time.monotonic(), self._cpu(), self.counters()
        time.sleep(seconds)
        wall, used, after = time.monotonic() - at, self._cpu() - cpu, self.counters()
        rates = {f"{name}_fps": (after[name] - before[name]) / wall for name in before}
        return {"cores": used / wall, **rates, **self._memory()}

    def _cpu(self) -> float:
        """Seconds of processor time of all its threads, proc_pid_stat(5): fields 14 and 15."""
        fields = self._proc("stat").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _memory(self) -> Report:
        """Megabytes (10^6 bytes): resident, proportional and unique set size, and peak resident size."""
        rollup, status = self._proc("smaps_rollup"), self._proc("status")
        own = _kilobytes(rollup, "Private_Clean") + _kilobytes(rollup, "Private_Dirty")
        return {
            "rss_mb": _kilobytes(rollup, "Rss") * 1024 / 1e6,
            "pss_mb": _kilobytes(rollup, "Pss") * 1024 / 1e6,
            "uss_mb": own * 1024 / 1e6,
            "peak_rss_mb": _kilobytes(status, "VmHWM") * 1024 / 1e6,
            "threads": int(_sum(status, r"Threads:\s+(\d+)")),
        }

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self._process.pid}/{name}").read_text(encoding="utf-8")

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log.append(line.rstrip())
            for text in MILESTONES:
                if text in line:
                    self._seen.setdefault(text, time.monotonic() - self.begun)


def configuration(clip: Path, tile: int, broker: int, port: int, state: str) -> str:
    """A box with one camera; windows of ten seconds, so that the measurement includes publishing."""
    source = json.dumps(str(clip.absolute()))
    return f"""
site = "bench"
box = "box"
[[cameras]]
name = "camera"
source = {source}
loop = true
max_fps = {FPS}
tile = {tile}
[windows]
length = 10
[privacy]
minimum = 1
[mqtt]
host = "127.0.0.1"
port = {broker}
drain_timeout = 1.0
[outbox]
directory = {json.dumps(state)}
[metrics]
port = {port}
"""


@contextmanager
def mosquitto() -> Iterator[int | None]:
    """Run a broker; its port, or None where mosquitto is not installed."""
    try:
        program("mosquitto")
    except FileNotFoundError:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="instore-bench-") as folder, Mosquitto(Path(folder)) as broker:
        yield broker.port


def _sum(text: str, pattern: str) -> float:
    return sum(map(float, re.findall(pattern, text)))


def _kilobytes(text: str, name: str) -> int:
    return int(_sum(text, rf"(?m)^{name}:\s+(\d+) kB"))
