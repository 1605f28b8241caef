"""`make bench`: how fast the box is, how soon it starts and how much memory it takes.

    .venv/bin/python -m bench.run [--clips DIR] [--quick] [--out bench/results/bench]

Stages are timed by `instore-edge bench`, the daemon from outside: as a process on a looped recording at its
own pace, over its /metrics and /proc. OUT.json and OUT.md are written; they hold times, sizes and counts.
Machines differ and are shared, so look at the ratios first: both sides of each were taken in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

import cv2
from rich.console import Console

from bench.report import markdown
from edge.bench import environment
from edge.capture import Feed, open_source
from edge.capture.video import prepare_opencv
from edge.clock import SystemClock
from edge.config import CameraSettings
from edge.demo.scene import Scene, write_clip

ROOT = Path(__file__).parent.parent
CLIPS = ROOT.parent / "shared" / "data" / "clips"
TICKS = os.sysconf("SC_CLK_TCK")
FPS = 10.0
"""Frames analysed a second in every daemon measured here."""

GIVE_UP = 60.0
"""Seconds without a first frame after which a daemon has failed."""

WARM_UP = 3.0
"""Seconds from the first analysed frame until the daemon's work is measured."""

POLL = 0.02
"""Seconds between two looks at a starting daemon: the resolution of its start-up time."""

MILESTONES = {" model ": "age_model_s", " ready: ": "ready_s"}
"""What the daemon logs on its way to the first frame, and how the report names that moment."""

Report = dict[str, Any]
console = Console(stderr=True, highlight=False)


# --- What is measured on -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Material:
    """The recordings: one large for the daemon and the stages, the same small, and others for the stages."""

    large: Path
    small: Path
    others: tuple[Path, ...]
    composed: bool


def gather(clips: Path, folder: Path) -> Material:
    """The recordings of `clips`, or the demo's composed scene where they are absent."""
    crowd, corridor = clips / "crowd.mp4", clips / "corridor-three.gif"
    composed = not crowd.exists()
    if composed:
        step(f"no recordings in {clips}: composing the demo's scene, 1280x720, instead")
        crowd = folder / "scene.mp4"
        write_clip(Scene(), crowd)
    others = (corridor,) if corridor.exists() else ()
    return Material(crowd, shrink(crowd, folder / "small.mp4"), others, composed)


def shrink(clip: Path, to: Path, height: int = 480) -> Path:
    """The clip at 480 lines, MPEG-4: OpenCV's wheel encodes no H.264."""
    prepare_opencv()
    capture = cv2.VideoCapture(str(clip.absolute()))
    width = round(height * capture.get(cv2.CAP_PROP_FRAME_WIDTH) / capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    size = (width // 2 * 2, height)
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(to), codec, capture.get(cv2.CAP_PROP_FPS), size)
    while (read := capture.read())[0]:
        writer.write(cv2.resize(read[1], size, interpolation=cv2.INTER_AREA))
    writer.release()
    capture.release()
    return to


# --- The stages ----------------------------------------------------------------------------------


def stages(clip: Path, repeats: int, overrides: Sequence[str] = ()) -> Report:
    """`instore-edge bench` of one clip, each time a process of its own; the run with the median speed."""
    sets = [part for override in overrides for part in ("--set", override)]
    command = [sys.executable, "-m", "edge", "bench", str(clip), "--json", *sets]
    runs = []
    for _ in range(repeats):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise SystemExit(done.stderr.strip() or f"{clip.name}: the measurement failed")
        runs += json.loads(done.stdout)["clips"]
    runs.sort(key=lambda run: float(run["fps"]))
    return {**runs[len(runs) // 2], "fps_of_runs": [run["fps"] for run in runs]}


def decoding_alone(clip: Path, repeats: int) -> float:
    """Seconds of processor time that decoding takes for each second of the recording: the floor of all."""
    camera = CameraSettings(name="alone", source=str(clip), max_fps=FPS)
    clock = SystemClock()
    costs = []
    for _ in range(repeats):
        feed = Feed(camera, lambda settings: open_source(settings, Path(), clock), clock)
        begun = time.process_time()
        with closing(feed.frames()) as frames:
            count = sum(1 for _ in frames)
        costs.append((time.process_time() - begun) / (count / FPS))
    return median(costs)


# --- The daemon, from outside --------------------------------------------------------------------


class Daemon:
    """`instore-edge run` on one looped recording at its own pace."""

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
        """Frames analysed and dropped so far; empty while nobody answers."""
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
        """Watch it for so long: processor time and frames for each second, memory at the end."""
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
        """Megabytes (10^6 bytes): resident, its share of it, its own alone, the most that was resident."""
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
    """A box with one camera; windows of ten seconds, so that publishing is part of what is measured."""
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
[mqtt]
host = "127.0.0.1"
port = {broker}
drain_timeout = 1.0
[outbox]
directory = {json.dumps(state)}
[metrics]
port = {port}
"""


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mosquitto() -> Iterator[int | None]:
    """The port of a broker of our own; None where mosquitto is not installed."""
    program = shutil.which("mosquitto", path=os.defpath + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        yield None
        return
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        port = free_port()
        config.write(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        config.flush()
        Path(config.name).chmod(0o644)  # it gives up root, and reads it again on a signal
        broker = subprocess.Popen([program, "-c", config.name], stderr=subprocess.DEVNULL)
        try:
            yield port
        finally:
            broker.terminate()
            broker.wait()


def _sum(text: str, pattern: str) -> float:
    return sum(map(float, re.findall(pattern, text)))


def _kilobytes(text: str, name: str) -> int:
    return int(_sum(text, rf"(?m)^{name}:\s+(\d+) kB"))


# --- The whole -----------------------------------------------------------------------------------


def measure(clips: Path, quick: bool, folder: Path) -> Report:
    """Everything, as the report that is kept."""
    material = gather(clips, folder)
    repeats, seconds = (1, 10.0) if quick else (3, 30.0)
    load_before = os.getloadavg()[0]
    tables = stage_tables(material, repeats)
    step("decoding alone")
    decoding = decoding_alone(material.large, repeats)
    with mosquitto() as broker:
        starts = start_ups(material, repeats, broker)
        daemons = work_of_daemons(material, seconds, broker)
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python -m bench.run", *(["--quick"] if quick else [])]),
        "material": "the demo's composed scene" if material.composed else "recordings",
        "broker": "mosquitto" if broker else "none",
        "environment": {
            **environment(),
            "commit": commit(),
            "load_before": load_before,
            "load_after": os.getloadavg()[0],
        },
        "stages": tables,
        "start": {name: median(start[name] for start in starts) for name in starts[0]},
        "starts": starts,
        "decoding_alone_cores": decoding,
        "daemon": daemons,
    }


def stage_tables(material: Material, repeats: int) -> list[Report]:
    """The stages on every clip, and on the large one without tiles as well."""
    tables = []
    for clip in (material.large, *material.others):
        step(f"stages of {clip.name}, {repeats} times")
        tables.append({**stages(clip, repeats), "tiles": True})
    whole = [f"cameras.{material.large.stem}.tile=0"]
    step(f"stages of {material.large.name}, whole picture only, {repeats} times")
    return [*tables[:1], {**stages(material.large, repeats, whole), "tiles": False}, *tables[1:]]


def start_ups(material: Material, repeats: int, broker: int | None) -> list[Report]:
    """Starts of the daemon, each a process of its own."""
    starts = []
    for number in range(repeats):
        step(f"start {number + 1} of {repeats}")
        with Daemon(material.large, 540, broker) as daemon:
            starts.append(daemon.first_frame())
    return starts


def work_of_daemons(material: Material, seconds: float, broker: int | None) -> list[Report]:
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


def picture_size(clip: Path) -> str:
    capture = cv2.VideoCapture(str(clip.absolute()))
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    return f"{width}x{height}"


def commit() -> str:
    """The commit measured, with a `+` where files were changed since; empty outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "edge") else "")
    except OSError:
        return ""


def rounded(value: Any) -> Any:  # noqa: ANN401 - a JSON tree is of any shape
    """To three decimals: a millisecond, a thousandth of a core."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return round(value, 3) if isinstance(value, float) else value


def step(text: str) -> None:
    """Tell a person what goes on."""
    console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {text}")


def write(report: Report, out: Path) -> None:
    """The report for machines and for people."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(markdown(report), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--clips", type=Path, default=CLIPS, help="folder with crowd.mp4 and corridor-three.gif"
    )
    parser.add_argument("--quick", action="store_true", help="everything once, and for 10 s instead of 30")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "bench" / "results" / "bench", help="without ending"
    )
    arguments = parser.parse_args(argv)
    if not Path("/proc/self/smaps_rollup").exists():
        parser.error("memory is read from /proc, as Linux has it; this machine has none")
    try:
        with tempfile.TemporaryDirectory(prefix="instore-bench-") as folder:
            report = rounded(measure(arguments.clips, arguments.quick, Path(folder)))
    except KeyboardInterrupt:
        step("stopped; nothing was written")
        return 130
    write(report, arguments.out)
    print(markdown(report))
    step(f"written: {arguments.out}.json and .md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
