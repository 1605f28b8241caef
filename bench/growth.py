"""The growth of the cost with cameras, faces in a frame, tracks and zones.

Each is measured at growing sizes. A fixed cost makes the first steps cheap, so the last step counts: the
exponent k of cost ~ size^k between the two largest sizes; 1 is linear.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.box import work
from bench.material import FULL_HD, Material
from bench.tables import table
from edge.brackets import DEFAULT_BRACKETS
from edge.bundle import bundle_folder, load_bundle
from edge.clock import SystemClock
from edge.commands.bench.stage_times import one_opencv_thread
from edge.commands.demo.scene import Scene, compose
from edge.config import load_settings
from edge.counting.windows import Aggregator
from edge.ops.metrics import Metrics
from edge.types import KEYPOINTS, CountingPlan, Faces, Frame, Image, Progress
from edge.vision.pipeline import Vision, build_vision
from edge.vision.track import Tracker

CAMERAS = (1, 2, 4, 8)
FACES = (1, 2, 5, 10, 25, 50)
TRACKS = (1, 5, 25, 50, 100)
ZONES = (1, 4, 16, 64, 256)
LIMIT = 1.3
"""The exponent up to which growth counts as near linear; quadratic growth is 2."""

START = datetime(1970, 1, 1, tzinfo=UTC)
Report = dict[str, Any]
Curve = list[tuple[int, float]]


def measure(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """Milliseconds of processor time against size, for each of the four."""
    frames = 10 if quick else 50
    step("growth: faces in a frame")
    faces = faces_in_a_frame(FACES[:3] if quick else FACES, frames)
    step("growth: tracks, zones")
    tracks, zones = tracks_of_a_camera(TRACKS, 5 * frames), zones_of_a_box(ZONES, 10 * frames)
    step("growth: cameras")
    cameras = cameras_of_a_box(material.idle_small, CAMERAS[:2] if quick else CAMERAS, 3.0 if quick else 6.0)
    return {"faces": faces, "tracks": tracks, "zones": zones, "cameras": cameras}


def cameras_of_a_box(clip: Path, sizes: Sequence[int], seconds: float) -> Curve:
    """Cost of a second of a box with so many cameras on an idle scene from memory, without decoding."""
    return [(size, 1000 * work(clip, size, fps=5.0, seconds=seconds, memory=True).cores) for size in sizes]


def faces_in_a_frame(sizes: Sequence[int], frames: int) -> Curve:
    """Cost of a 1080p frame with so many visitors, with tiles, second opinion and the real models."""
    bundle = load_bundle(bundle_folder("builtin", Path()))
    settings = load_settings(None, (), {"cameras": [{"name": "faces", "source": "faces.mp4"}]})
    curve = []
    for size in sizes:
        vision = build_vision(settings.cameras[0], settings, bundle, Metrics(SystemClock(), ["faces"]))
        moving = [crowd(size, shift) for shift in (0, 4, 8, 4)]

        def process(number: int, vision: Vision = vision, moving: list[Image] = moving) -> None:
            at = START + timedelta(seconds=number / 10)
            vision.process(Frame("faces", at, moving[number % len(moving)]))

        with one_opencv_thread():
            curve.append((size, 1000 * cpu_seconds(process, frames)))
        vision.close()
    return curve


def crowd(size: int, shift: int, side: int = 160) -> Image:
    """A 1080p picture with `size` heads of one portrait in rows, each about 50 pixels wide."""
    scene = compose(Scene(), 6.0)
    face = Scene().faces(6.0)[0]
    left, top = round(face.x - face.size), round(face.y - face.size)
    head = scene[max(top, 0) : round(face.y + face.size), left : round(face.x + face.size)]
    head = cv2.resize(head, (side - 10, side - 10), interpolation=cv2.INTER_AREA)
    picture = cv2.resize(compose(Scene(), 0.0), FULL_HD)
    for n in range(size):
        x, y = 20 + shift + (n % 10) * (side + 27), 20 + (n // 10) * (side + 40)
        picture[y : y + head.shape[0], x : x + head.shape[1]] = head
    return np.ascontiguousarray(picture)


def tracks_of_a_camera(sizes: Sequence[int], frames: int) -> Curve:
    """Cost of an update of the tracker with so many visitors."""
    return [(size, 1000 * cpu_seconds(_tracking(size), frames)) for size in sizes]


def _tracking(size: int) -> Callable[[int], object]:
    tracker, rng = Tracker(), np.random.default_rng(size)
    corners = np.stack([np.arange(size) % 20 * 90.0, np.arange(size) // 20 * 90.0], axis=1)

    def update(number: int) -> object:
        low = corners + rng.normal(0, 1.5, corners.shape)
        boxes = np.concatenate([low, low + 40], axis=1).astype(np.float32)
        keypoints = np.zeros((size, KEYPOINTS, 2), np.float32)
        faces = Faces(boxes, np.full(size, 0.9, np.float32), keypoints)
        return tracker.update(faces, START + timedelta(seconds=number / 10))

    return update


def zones_of_a_box(sizes: Sequence[int], rounds: int) -> Curve:
    """Cost of a progress message from each of so many cameras, each with its own zone."""
    curve = []
    for size in sizes:
        names = [f"camera-{n}" for n in range(size)]
        zones = {name: (f"zone-{n}",) for n, name in enumerate(names)}
        aggregator = Aggregator("bench", CountingPlan(zones, DEFAULT_BRACKETS, lateness=2.0), length=1)

        def advance(number: int, names: list[str] = names, aggregator: Aggregator = aggregator) -> None:
            at = START + timedelta(seconds=number / 10)
            for name in names:
                aggregator.progress(Progress(name, at, 1, {}))

        curve.append((size, 1000 * cpu_seconds(advance, rounds)))
    return curve


def cpu_seconds(some: Callable[[int], object], times: int) -> float:
    """Mean processor time of a call in all threads, over `times` calls after a fifth as many to warm up."""
    warm = max(1, times // 5)
    for number in range(warm):
        some(number)
    begun = time.process_time()
    for number in range(warm, warm + times):
        some(number)
    return (time.process_time() - begun) / times


def exponent(curve: Curve) -> float:
    """k of cost ~ size^k between the two largest sizes."""
    (small, cheap), (large, dear) = curve[-2:]
    return math.log(max(dear, 1e-9) / max(cheap, 1e-9)) / math.log(large / small)


def section(found: Report) -> str:
    """A row for each curve: the cost at each size, and the exponent."""
    names = {
        "cameras": "cameras, idle, from memory: ms a second",
        "faces": "faces in a 1080p frame: ms a frame",
        "tracks": "tracks: ms an update",
        "zones": "zones, a camera each: ms a round",
    }
    rows = []
    for key, name in names.items():
        curve = [(int(size), float(cost)) for size, cost in found[key]]
        costs = " · ".join(f"{size}: {cost:.2f}" for size, cost in curve)
        k = exponent(curve)
        rows.append((name, costs, f"{k:.2f}", "met" if k <= LIMIT else "**missed**"))
    return table(("processor time", "size: cost", "exponent", f"limit {LIMIT}"), rows) + (
        "\n\nThe exponent k of cost ~ size^k between the two largest sizes: 1 is linear."
    )
