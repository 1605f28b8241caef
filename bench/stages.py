"""The time of each stage on each clip, and the cost of decoding alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from bench.box import ROOT
from bench.material import Material
from edge.capture import Feed, open_source
from edge.clock import SystemClock
from edge.config import CameraSettings

FPS = 10.0
"""Frames analysed a second: the default of a camera."""

Report = dict[str, Any]


def stage_tables(material: Material, repeats: int, step: Callable[[str], None]) -> list[Report]:
    """The stages on every clip, and on the large clip also without tiles."""
    tables = []
    for clip in (material.large, *material.others):
        step(f"stages of {clip.name}, {repeats} times")
        tables.append({**stages(clip, repeats), "tiles": True})
    whole = [f"cameras.{material.large.stem}.tile=0"]
    step(f"stages of {material.large.name}, whole picture only, {repeats} times")
    return [*tables[:1], {**stages(material.large, repeats, whole), "tiles": False}, *tables[1:]]


def stages(clip: Path, repeats: int, overrides: Sequence[str] = ()) -> Report:
    """Run `instore-edge bench` on one clip, each time in its own process; the run with the median speed."""
    sets = [part for override in overrides for part in ("--set", override)]
    command = [sys.executable, "-m", "edge", "bench", str(clip), "--json", *sets]
    runs = []
    for _ in range(repeats):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise SystemExit(
                done.stderr.strip() or f"{clip.name}: `instore-edge bench` failed without a message"
            )
        runs += json.loads(done.stdout)["clips"]
    runs.sort(key=lambda run: float(run["fps"]))
    return {**runs[len(runs) // 2], "fps_of_runs": [run["fps"] for run in runs]}


def decoding_alone(clip: Path, repeats: int) -> float:
    """Median seconds of processor time that decoding needs per second of the recording."""
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
