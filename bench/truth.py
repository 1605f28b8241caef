"""How right the counts of visitors are: on recordings counted by eye, and on drawn scenes of known truth."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.material import Material, timed_pictures
from bench.scenes import CYCLE, HIDDEN, draw
from bench.tables import table
from edge.bundle import Bundle, bundle_folder, load_bundle
from edge.capture.rate_limit import RateLimit
from edge.clock import SystemClock
from edge.commands.bench.stage_times import one_opencv_thread
from edge.config import Settings, load_settings
from edge.ops.metrics import Metrics
from edge.types import Frame, Image, Message, TrackEnded
from edge.vision.pipeline import build_vision

SCENES = 200
QUICK = 27
"""Scenes with `--quick`: one cycle of all kinds."""

HIDDEN_SCENES = range(600, 630)
"""Of each kind beside the cycle; nothing was chosen on these."""

FPS = 10.0
"""Frames of a recording analysed a second: the default of a camera."""

START = datetime(2026, 1, 1, tzinfo=UTC)

EVERY_FRAME = 120.0
"""Frames a second that no recording exceeds."""

KNOWN = {"corridor-three.gif": (3, 3, 3), "one-woman.gif": (1, 1, 1), "empty-room.mp4": (0, 0, 0)}
"""Recordings beside the project and their visitors: truth, lowest and highest right count."""

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Count:
    """One recording or scene. low, high: the counts that are right; they differ where the eye is not sure.

    later: what was counted of it begun at its second frame and at later ones.
    """

    name: str
    truth: int
    low: int
    high: int
    counted: int
    later: list[int] = field(default_factory=list)

    @property
    def error(self) -> float:
        """How far the count is outside the right ones, in the mean of all starts."""
        return fmean(max(self.low - one, one - self.high, 0) for one in [self.counted, *self.later])


def measure(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """Count the recordings of the clips' folder, and the scenes; `quick` counts 27 of these instead of 260.

    material.starts: from how many of its first frames on each recording is counted.
    """
    clips = list(_clips(material, step))
    step(f"{QUICK if quick else SCENES} drawn scenes")
    found = {"clips": clips, "scenes": count_scenes(range(QUICK if quick else SCENES))}
    if not quick:
        step("drawn scenes of people out of sight")
        found["hidden"] = [one for kind in HIDDEN for one in count_scenes(HIDDEN_SCENES, kind)]
    return {part: [asdict(one) for one in counts] for part, counts in found.items()}


def _clips(material: Material, step: Callable[[str], None]) -> Iterator[Count]:
    for path, truth, low, high in listed(material.folder):
        step(f"visitors of {path.name}")
        counted, *later = (visitors(begun(path, start)) for start in range(material.starts))
        yield Count(path.name, truth, low, high, counted, later)


def begun(path: Path, start: int) -> Iterator[tuple[float, Image]]:
    """A recording as a camera at default settings gives it that begins with the frame `start`, from 0 on."""
    rate, first = RateLimit(FPS), None
    for seconds, image in islice(timed_pictures(path, EVERY_FRAME), start, None):
        first = seconds if first is None else first
        if rate.keep(seconds - first):
            yield seconds - first, image


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


def count_scenes(numbers: Iterable[int], kind: str = "") -> list[Count]:
    """Count these drawn scenes, of a kind beside the cycle if it is given, on all processors."""
    spawned = get_context("spawn")  # a fork would copy the threads of MediaPipe
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=spawned) as pool:
        return list(pool.map(partial(count_scene, kind=kind), numbers))


def count_scene(number: int, kind: str = "") -> Count:
    """Count the visitors of one drawn scene."""
    scene = draw(number, kind)
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
    """The tables and their errors."""
    clips, scenes, hidden = (
        [Count(**o) for o in found.get(part, [])] for part in ("clips", "scenes", "hidden")
    )
    parts = []
    if clips:
        lines = [(c.name, str(c.truth), f"{c.low} to {c.high}", _counts(c), f"{c.error:.3g}") for c in clips]
        parts += [table(("recording", "by eye", "right", "counted", "error"), lines), _in_words(clips)]
    head = ("drawn scenes of", "scenes", "visitors", "counted", "errors", "error")
    parts += [table(head, [*_rows(scenes, CYCLE), ("all", *_row(scenes))])]
    parts += [table(head, _rows(hidden, HIDDEN))] if hidden else []
    return "\n\n".join([*parts, NOTE])


def _rows(scenes: list[Count], kinds: Iterable[str]) -> list[tuple[str, ...]]:
    found = {kind: [one for one in scenes if one.name == kind] for kind in dict.fromkeys(kinds)}
    return [(kind, *_row(ones)) for kind, ones in found.items() if ones]


def _counts(clip: Count) -> str:
    return ", ".join(str(one) for one in [clip.counted, *clip.later])


def _in_words(clips: list[Count]) -> str:
    errors, starts = sum(clip.error for clip in clips), 1 + len(clips[0].later)
    mean = f" in the mean of {starts} starts" if starts > 1 else ""
    return f"Errors: {errors:.3g} of {sum(c.truth for c in clips)} visitors{mean}."


def _row(scenes: list[Count]) -> tuple[str, ...]:
    truth, errors = sum(one.truth for one in scenes), round(sum(one.error for one in scenes))
    share = f"{errors / truth:.1%}" if truth else "-"
    return str(len(scenes)), str(truth), str(sum(one.counted for one in scenes)), str(errors), share


NOTE = """Default settings. The error of a recording is the distance of the count from what is right by eye.
The scenes are drawn by `bench/scenes.py` from four portraits, 15 to 200 px, 3 to 25 frames a second. Each is
wrong by |counted - visitors|: somebody missed in one scene does not make up for somebody counted twice in
another."""
