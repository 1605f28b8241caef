"""How right the counts of visitors are: on recordings counted by eye, and on drawn scenes of known truth."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.material import Material, timed_pictures
from bench.scenes import CYCLE, draw
from bench.tables import table
from edge.bundle import Bundle, bundle_folder, load_bundle
from edge.clock import SystemClock
from edge.commands.bench.stage_times import one_opencv_thread
from edge.config import Settings, load_settings
from edge.ops.metrics import Metrics
from edge.types import Frame, Image, Message, TrackEnded
from edge.vision.pipeline import build_vision

SCENES = 200
QUICK = 27
"""Scenes with `--quick`: one cycle of all kinds."""

FPS = 10.0
"""Frames of a recording analysed a second: the default of a camera."""

START = datetime(2026, 1, 1, tzinfo=UTC)

KNOWN = {"corridor-three.gif": (3, 3, 3), "one-woman.gif": (1, 1, 1), "empty-room.mp4": (0, 0, 0)}
"""Recordings beside the project and their visitors: truth, lowest and highest right count."""

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Count:
    """One recording or scene. low, high: the counts that are right; they differ where the eye is not sure."""

    name: str
    truth: int
    low: int
    high: int
    counted: int

    @property
    def error(self) -> int:
        """How far the count is outside the right ones."""
        return max(self.low - self.counted, self.counted - self.high, 0)


def measure(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """Count the recordings of the clips' folder, and the scenes; `quick` counts 27 scenes instead of 200."""
    clips = list(_clips(material.folder, step))
    step(f"{QUICK if quick else SCENES} drawn scenes")
    scenes = count_scenes(range(QUICK if quick else SCENES))
    return {"clips": [asdict(one) for one in clips], "scenes": [asdict(one) for one in scenes]}


def _clips(folder: Path, step: Callable[[str], None]) -> Iterator[Count]:
    for path, truth, low, high in listed(folder):
        step(f"visitors of {path.name}")
        yield Count(path.name, truth, low, high, visitors(timed_pictures(path, FPS)))


def listed(folder: Path) -> list[tuple[Path, int, int, int]]:
    """The recordings of a folder that were counted by eye: file, truth, lowest and highest right count.

    Those in its folder `field` are listed in `field/truth.tsv`.
    """
    known = [(folder / name, *counts) for name, counts in KNOWN.items() if (folder / name).exists()]
    listing = folder / "field" / "truth.tsv"
    if not listing.exists():
        return known
    with listing.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    field = [(listing.with_name(r["file"]), int(r["truth"]), int(r["low"]), int(r["high"])) for r in rows]
    return known + field


def count_scenes(numbers: Iterable[int]) -> list[Count]:
    """Count these drawn scenes, on all processors."""
    spawned = get_context("spawn")  # a fork would copy the threads of MediaPipe
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=spawned) as pool:
        return list(pool.map(count_scene, numbers))


def count_scene(number: int) -> Count:
    """Count the visitors of one drawn scene."""
    scene = draw(number)
    truth = scene.visitors
    return Count(scene.kind, truth, truth, truth, visitors(scene.frames()))


def visitors(frames: Iterable[tuple[float, Image]]) -> int:
    """How many visitors default settings count on these frames, each with its seconds."""
    settings, bundle = _defaults()
    (camera,) = settings.cameras
    with (
        one_opencv_thread(),
        closing(build_vision(camera, settings, bundle, Metrics(SystemClock(), [camera.name]))) as vision,
    ):
        count = 0
        for seconds, image in frames:
            frame = Frame(camera.name, START + timedelta(seconds=seconds), image)
            count += _ended(vision.process(frame).messages)
        return count + _ended(vision.finish())


@cache
def _defaults() -> tuple[Settings, Bundle]:
    settings = load_settings(None, [], {"box": "bench", "cameras": [{"name": "truth", "source": "0"}]})
    return settings, load_bundle(bundle_folder(settings.model.bundle, Path()))


def _ended(messages: Iterable[Message]) -> int:
    return sum(isinstance(message, TrackEnded) for message in messages)


# --- The report ----------------------------------------------------------------------------------


def section(found: Report) -> str:
    """Both tables and their errors."""
    clips, scenes = ([Count(**one) for one in found[part]] for part in ("clips", "scenes"))
    parts = []
    if clips:
        lines = [(c.name, str(c.truth), f"{c.low} to {c.high}", str(c.counted), str(c.error)) for c in clips]
        parts += [table(("recording", "by eye", "right", "counted", "error"), lines), _in_words(clips)]
    kinds = {kind: [one for one in scenes if one.name == kind] for kind in dict.fromkeys(CYCLE)}
    rows = [(kind, *_row(ones)) for kind, ones in kinds.items() if ones]
    head = ("drawn scenes of", "scenes", "visitors", "counted", "errors", "error")
    return "\n\n".join([*parts, table(head, [*rows, ("all", *_row(scenes))]), NOTE])


def _in_words(clips: list[Count]) -> str:
    return f"Errors: {sum(c.error for c in clips)} of {sum(c.truth for c in clips)} visitors."


def _row(scenes: list[Count]) -> tuple[str, ...]:
    truth, errors = sum(one.truth for one in scenes), sum(one.error for one in scenes)
    share = f"{errors / truth:.1%}" if truth else "-"
    return str(len(scenes)), str(truth), str(sum(one.counted for one in scenes)), str(errors), share


NOTE = """Default settings. The error of a recording is the distance of the count from what is right by eye.
The scenes are drawn by `bench/scenes.py` from four portraits, 15 to 200 px, 3 to 25 frames a second. Each is
wrong by |counted - visitors|: somebody missed in one scene does not make up for somebody counted twice in
another."""
