"""`python -m bench.box`: a daemon that measures itself, on recordings or on pictures in memory.

    python -m bench.box CONFIG --seconds 10 [--memory CLIP]

After a warm-up it runs for the given time, then prints as JSON: frames, drops, processor time, and the time
from capture to decision. With --memory every camera plays pictures of one clip that were decoded before, so
that decoding costs nothing; everything else is the unchanged daemon.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from bench.material import pictures
from bench.resident import resident_mb
from edge.capture import Picture, Source
from edge.clock import SystemClock
from edge.config import CameraSettings, load_settings
from edge.daemon.parts import Parts
from edge.daemon.runtime import Runtime
from edge.ops.metrics import Metrics
from edge.types import Image

ROOT = Path(__file__).parent.parent
WARM_UP = 2.0
"""Seconds from the last camera's first frame to the start of the measurement."""

HELD = 50
"""Pictures of a clip held in memory, at most: 300 MB at 1080p, for any number of cameras."""

GIVE_UP = 60.0
"""A box fails when a camera gives no frame within so many seconds."""


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a box in `seconds` of wall time.

    cores: seconds of processor time for each second. decision_p50_ms, decision_p95_ms: from a frame's capture
    to the last decision on it; 0 where time does not pass as on the clock. rss_mb: 10^6 bytes at the end.
    """

    cameras: int
    seconds: float
    analysed: int
    dropped: int
    cores: float
    decision_p50_ms: float
    decision_p95_ms: float
    rss_mb: float

    @property
    def fps(self) -> float:
        """Frames analysed a second, by all cameras together."""
        return self.analysed / self.seconds

    @property
    def cpu_ms_per_frame(self) -> float:
        """Milliseconds of processor time for each analysed frame."""
        return 1000 * self.cores * self.seconds / max(self.analysed, 1)


def work(clip: Path, cameras: int, *, fps: float, seconds: float, memory: bool = False, pace: str = "real",
         tile: int = 540) -> Work:  # fmt: skip
    """Run a box of so many cameras, all of them on `clip`, in its own process."""
    with tempfile.TemporaryDirectory(prefix="instore-bench-") as folder:
        config = Path(folder) / "config.toml"
        config.write_text(configuration(clip, cameras, fps=fps, pace=pace, tile=tile, state=folder))
        command = [sys.executable, "-m", "bench.box", str(config), "--seconds", str(seconds)]
        command += ["--memory", str(clip.absolute())] if memory else []
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"a box of {cameras} cameras on {clip.name} failed:\n{done.stderr[-2000:]}")
    return Work(**json.loads(done.stdout.splitlines()[-1]))


def configuration(clip: Path, cameras: int, *, fps: float, pace: str, tile: int, state: str) -> str:
    """A box without a broker; short windows, so that closing and storing them is measured.

    Short windows, and cameras on one source, are allowed with privacy.minimum = 1 only.
    """
    tables = "".join(
        f"""
[[cameras]]
name = "camera-{number}"
source = {json.dumps(str(clip.absolute()))}
loop = true
pace = "{pace}"
max_fps = {fps}
tile = {tile}
"""
        for number in range(cameras)
    )
    return f"""site = "bench"
box = "box"
{tables}
[windows]
length = 10
[privacy]
minimum = 1
[mqtt]
host = "127.0.0.1"
port = 1
drain_timeout = 0.5
[outbox]
directory = {json.dumps(state)}
[metrics]
enabled = false
"""


class Held:
    """A recording in memory: the same pictures again and again, `fps` of them a second of its time."""

    live = False
    corrupt = 0

    def __init__(self, images: Sequence[Image], fps: float) -> None:
        self._numbered = count()
        self._images = images
        self._fps = fps

    def read(self) -> Picture:
        number = next(self._numbered)
        return Picture(self._images[number % len(self._images)], number / self._fps)

    def close(self) -> None:
        """Keep the pictures: other cameras play them as well."""


class _ExactMetrics(Metrics):
    """The daemon's series; the time of every decision is also appended to `delays`, in seconds."""

    def __init__(self, delays: list[float], *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **named)
        self._delays = delays

    def decided(self, seconds: float) -> None:
        self._delays.append(seconds)
        super().decided(seconds)


class _Watched:
    """A runtime whose work `run` measures."""

    def __init__(self, config: Path, parts: Parts) -> None:
        delays: list[float] = []
        settings = load_settings(config)
        self.runtime = Runtime(
            settings,
            beside=config.parent,
            clock=SystemClock(),
            rng=random.Random(0),
            resumes=False,
            parts=replace(parts, metrics=partial(_ExactMetrics, delays)),
        )
        self.delays = delays

    def run(self, seconds: float) -> Work:
        stop = threading.Event()
        found: list[Work] = []
        watch = threading.Thread(target=self._watch, args=(seconds, stop, found), daemon=True)
        watch.start()
        self.runtime.run(stop)
        watch.join()
        if not found:
            raise SystemExit(f"no frame of some camera within {GIVE_UP:g} s")
        return found[0]

    def _watch(self, seconds: float, stop: threading.Event, found: list[Work]) -> None:
        deadline = time.monotonic() + GIVE_UP
        while not all(camera.analysed for camera in self.runtime.cameras) and time.monotonic() < deadline:
            time.sleep(0.05)
        if time.monotonic() < deadline:
            time.sleep(WARM_UP)
            found.append(self._measure(seconds))
        stop.set()

    def _measure(self, seconds: float) -> Work:
        self.delays.clear()
        wall, cpu, frames, dropped = time.monotonic(), time.process_time(), self._analysed(), self._dropped()
        time.sleep(seconds)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        delays = np.array(self.delays or [0.0]) * 1000
        p50, p95 = np.percentile(delays, (50, 95)).tolist()
        return Work(
            cameras=len(self.runtime.cameras),
            seconds=wall,
            analysed=self._analysed() - frames,
            dropped=self._dropped() - dropped,
            cores=cpu / wall,
            decision_p50_ms=p50,
            decision_p95_ms=p95,
            rss_mb=resident_mb(),
        )

    def _analysed(self) -> int:
        return sum(camera.analysed for camera in self.runtime.cameras)

    def _dropped(self) -> int:
        (family,) = self.runtime.metrics.dropped.collect()
        return int(sum(s.value for s in family.samples if s.name.endswith("_total")))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.box", description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--memory", type=Path, metavar="CLIP", help="play this clip from memory")
    arguments = parser.parse_args(argv)
    parts = Parts()
    if arguments.memory:
        fps = load_settings(arguments.config).cameras[0].max_fps
        images = list(pictures(arguments.memory, fps, HELD))

        def held(camera: CameraSettings, *_: object, **__: object) -> Source:
            return Held(images, camera.max_fps)

        parts = Parts(open_source=held)
    print(json.dumps(asdict(_Watched(arguments.config, parts).run(arguments.seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
