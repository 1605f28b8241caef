"""The cost of lines, zones and attention for each frame of a camera."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.growth import START, cpu_seconds, crowd
from bench.material import Material
from bench.tables import table
from edge.bundle import bundle_folder, load_bundle
from edge.clock import SystemClock
from edge.commands.bench.stage_times import one_opencv_thread
from edge.config import CameraSettings, load_settings
from edge.ops.metrics import Metrics
from edge.types import Frame
from edge.vision.lines import Lines
from edge.vision.pipeline import build_vision
from edge.vision.zones import Zones

VISITORS = 2
DRAWN = ((0, 0), (4, 2), (16, 8))
"""Zones and lines of a camera."""

LIMIT_MS = 0.2
"""Milliseconds of processor time a frame with 16 zones and 8 lines."""

SIZE = (1920, 1080)
Report = dict[str, Any]


def measure(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """Milliseconds of processor time a frame: of lines and zones alone, and of all vision with attention."""
    frames = 200 if quick else 2000
    step("lines and zones")
    drawn = [
        {"zones": zones, "lines": lines, "ms": cost(zones, lines, VISITORS, frames)} for zones, lines in DRAWN
    ]
    step("attention")
    off, on = attention(1 if quick else 5, 10 if quick else 60)
    return {"visitors": VISITORS, "drawn": drawn, "attention_off_ms": off, "attention_on_ms": on}


def cost(zones: int, lines: int, visitors: int, frames: int) -> float:
    """Milliseconds a frame for visitors who walk about a picture with so many zones and lines."""
    rng = np.random.default_rng(zones)
    camera = camera_with(zones, lines, rng)
    paths = [Lines(camera).begin() for _ in range(visitors)]
    stays = [Zones(camera).begin() for _ in range(visitors)]
    places = rng.uniform(200, 800, (visitors, 2)) + np.cumsum(rng.normal(0, 6, (512, visitors, 2)), axis=0)
    boxes = np.concatenate([places, places + 60], axis=2).astype(np.float32)

    def see(number: int) -> None:
        at = START + timedelta(seconds=number / 10)
        for box, path, stay in zip(boxes[number % len(boxes)], paths, stays, strict=True):
            path.see(box, SIZE, at)
            stay.see(box, SIZE, at)

    return 1000 * cpu_seconds(see, frames)


def camera_with(zones: int, lines: int, rng: np.random.Generator) -> CameraSettings:
    """A camera with so many zones, hexagons anywhere, and lines across most of the picture."""
    areas = [
        {"name": f"zone {n}", "role": ("area", "queue")[n % 2], "polygon": _hexagon(rng)}
        for n in range(zones)
    ]
    crossed = [
        {"name": f"line {n}", "from": rng.uniform(0, 0.4, 2).tolist(), "to": rng.uniform(0.6, 1, 2).tolist()}
        for n in range(lines)
    ]
    found = {"name": "drawn", "source": "drawn.mp4", "zones": areas, "lines": crossed}
    return CameraSettings.model_validate(found)


def _hexagon(rng: np.random.Generator) -> list[list[float]]:
    angles = rng.uniform(0, 2 * np.pi) + np.arange(6) * np.pi / 3
    far, middle = rng.uniform(0.05, 0.2, 6), rng.uniform(0.25, 0.75, 2)
    corners = middle + far[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return [[float(x), float(y)] for x, y in corners]


def attention(repeats: int, frames: int) -> tuple[float, float]:
    """Milliseconds a 1080p frame for all of vision, with `VISITORS` faces in it: attention off, and on.

    They take turns, as other work of the machine slows both, and the median of the turns counts.
    """
    off, on = zip(
        *((vision_ms("false", frames), vision_ms("true", frames)) for _ in range(repeats)), strict=True
    )
    return median(off), median(on)


def vision_ms(attention: str, frames: int) -> float:
    """The same once. attention: the setting `attention.enabled`."""
    camera = {"name": "looks", "source": "looks.mp4"}
    settings = load_settings(None, (f"attention.enabled={attention}",), {"cameras": [camera]})
    bundle = load_bundle(bundle_folder("builtin", Path()))
    vision = build_vision(settings.cameras[0], settings, bundle, Metrics(SystemClock(), ["looks"]))
    moving = [crowd(VISITORS, shift) for shift in (0, 4, 8, 4)]

    def process(number: int) -> None:
        vision.process(Frame("looks", START + timedelta(seconds=number / 10), moving[number % len(moving)]))

    with one_opencv_thread():
        found = 1000 * cpu_seconds(process, frames)
    vision.close()
    return found


def section(found: Report) -> str:
    """A row for each number of zones and lines, and one for attention."""
    rows = [
        (f"{one['zones']} zones, {one['lines']} lines", f"{one['ms']:.3f}", _limit(one))
        for one in found["drawn"]
    ]
    off, on = found["attention_off_ms"], found["attention_on_ms"]
    rows.append(
        ("attention, beside all of vision", f"{on - off:.1f}", f"{off:.1f} without, {on:.1f} with it")
    )
    return table(("CPU-ms a frame", "", ""), rows) + (
        f"\n\n{found['visitors']} visitors in view. Attention looks at every visitor four times a second."
    )


def _limit(one: Report) -> str:
    if one["zones"] < max(zones for zones, _ in DRAWN):
        return ""
    return f"limit {LIMIT_MS}: " + ("met" if one["ms"] < LIMIT_MS else "**missed**")
