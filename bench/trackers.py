"""Compare our tracker with the library `trackers` on scenes of known truth and on recordings.

    .venv/bin/python bench/trackers.py [--clips DIR] [--out bench/results/trackers] [--seeds 10]

measures our tracker, and the library where it is installed. The library is no dependency of the project;
these commands make an environment with both:

    python3 -m venv /tmp/compare
    /tmp/compare/bin/pip install -r requirements/edge.txt
    /tmp/compare/bin/pip install trackers==2.6.1
    /tmp/compare/bin/python bench/trackers.py --clips DIR

Every candidate gets the same faces and times, keeps a lost track for 1.5 s, confirms a track after 3 frames,
and starts one at a score of 0.6. Writes OUT.json and OUT.md, which hold counts, no positions and no ids.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)  # not this folder, where this file hides the library of the same name

from bench.provenance import add_out, keep  # noqa: E402
from bench.tables import table  # noqa: E402
from edge.geometry import overlap  # noqa: E402
from edge.types import KEYPOINTS, Faces, TrackState  # noqa: E402
from edge.vision.track import Tracker, TrackerSettings  # noqa: E402

START = datetime(2026, 1, 1, tzinfo=UTC)
START_SCORE = 0.6
CONFIRM_HITS = 3
PATIENCE = 1.5
WIDTH, HEIGHT = 1280, 720
UNCONFIRMED = -1

Labels = NDArray[np.int64]


# --- Candidates ----------------------------------------------------------------------------------


class Candidate(Protocol):
    """A tracker made for one camera."""

    def label(self, faces: Faces, at: datetime) -> Labels:
        """The id of each face, UNCONFIRMED where it has none yet."""


class Ours:
    def __init__(self, fps: float) -> None:
        self._tracker = Tracker(
            TrackerSettings(start_score=START_SCORE, confirm_hits=CONFIRM_HITS, lost_after=PATIENCE)
        )

    def label(self, faces: Faces, at: datetime) -> Labels:
        labels = np.full(len(faces), UNCONFIRMED)
        for track in self._tracker.update(faces, at):
            if track.state is TrackState.CONFIRMED:
                labels[track.face] = track.track_id
        return labels


class Library:
    """A tracker of the library, with our thresholds of the scores."""

    def __init__(self, tracker: Any) -> None:  # noqa: ANN401  (the library may be absent)
        self._tracker = tracker
        self._detections: Any = import_module("supervision").Detections

    def label(self, faces: Faces, at: datetime) -> Labels:
        seen = self._detections(
            xyxy=faces.xyxy, confidence=faces.score, data={"index": np.arange(len(faces), dtype=int)}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of every time stamp that does not advance
            found = self._tracker.update(seen, timestamp=(at - START).total_seconds() + 1000)
        labels = np.full(len(faces), UNCONFIRMED)
        if len(found):
            labels[found.data["index"]] = found.tracker_id
        return labels


Maker = Callable[[float], Candidate]


def candidates() -> dict[str, Maker]:
    """Our tracker, and the library's with their default and with the best tried settings."""
    makers: dict[str, Maker] = {"ours": Ours}
    if find_spec("trackers") is not None:
        makers |= library()
    return makers


def library() -> dict[str, Maker]:
    lib: Any = import_module("trackers")

    def common(fps: float) -> dict[str, Any]:
        return {
            "lost_track_buffer": round(PATIENCE * 30),  # the library counts it in frames of 30 per second
            "frame_rate": fps,
            "minimum_consecutive_frames": CONFIRM_HITS,
        }

    def start(fps: float) -> dict[str, Any]:
        return common(fps) | {"track_activation_threshold": START_SCORE}

    high = {"high_conf_det_threshold": START_SCORE}
    return {
        "SORT": lambda fps: Library(lib.SORTTracker(**start(fps))),
        "ByteTrack": lambda fps: Library(lib.ByteTrackTracker(**start(fps), **high)),
        "OC-SORT": lambda fps: Library(lib.OCSORTTracker(**common(fps), **high)),
        "C-BIoU": lambda fps: Library(lib.CBIoUTracker(**start(fps), **high)),
        # Picked from GIoU, DIoU, CIoU with four thresholds from -0.65 to -0.2, on seeds from 1000 on, by ids
        # and switches together, before "come and go" was there. Our constants: same seeds, all scenes.
        "ByteTrack, GIoU": lambda fps: Library(
            lib.ByteTrackTracker(**start(fps), **high, iou=lib.GIoU(), minimum_iou_threshold=-0.65)
        ),
        "OC-SORT, DIoU": lambda fps: Library(
            lib.OCSORTTracker(**common(fps), **high, iou=lib.DIoU(), minimum_iou_threshold=-0.65)
        ),
    }


# --- Scenes of known truth -----------------------------------------------------------------------


@dataclass(frozen=True)
class Visitor:
    """A face's way: times in seconds, centres in pixels, sizes in pixels; hidden: spans of seconds unseen."""

    times: list[float]
    xs: list[float]
    ys: list[float]
    sizes: list[float]
    hidden: list[tuple[float, float]] = field(default_factory=list)

    def box(self, t: float) -> NDArray[np.float64] | None:
        """Centre x, y and size at time t; None where the visitor is not there, or not in the picture."""
        if not self.times[0] <= t <= self.times[-1]:
            return None
        x, y = np.interp(t, self.times, self.xs), np.interp(t, self.times, self.ys)
        size = np.exp(np.interp(t, self.times, np.log(self.sizes)))
        return np.array([x, y, size]) if 0 < x < WIDTH and 0 < y < HEIGHT else None

    def unseen(self, t: float) -> bool:
        return any(a <= t < b for a, b in self.hidden)


@dataclass(frozen=True)
class Scene:
    """Visitors, and how well the camera sees them. Rates are per frame."""

    visitors: list[Visitor]
    fps: float = 15.0
    seconds: float = 6.0
    missed: float = 0.03
    false: float = 0.0
    dropped: float = 0.0
    clock_back_at: float | None = None


@dataclass(frozen=True)
class Look:
    """One frame's faces and which visitor each shows, -1 for none."""

    at: datetime
    faces: Faces
    truth: NDArray[np.int64]


def look(scene: Scene, rng: np.random.Generator) -> Iterator[Look]:
    """Play a scene: jitter of 5 % of a face, misses, occlusion by the nearer face, false faces."""
    for index in range(int(scene.seconds * scene.fps)):
        t = index / scene.fps
        if rng.random() < scene.dropped:
            continue
        seen = _visible(scene, t)
        seen = [(i, box) for i, box in seen if rng.random() >= scene.missed]
        rows = [box + box[2] * rng.normal(0, 0.05, 3) for _, box in seen]
        truth = [i for i, _ in seen]
        score = list(np.clip(rng.normal(0.8, 0.08, len(rows)), 0.5, 0.99))
        for _ in range(rng.poisson(scene.false)):
            rows.append(np.array([rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(20, 80)]))
            truth.append(-1)
            score.append(rng.uniform(0.5, 0.75))
        back = scene.clock_back_at is not None and t >= scene.clock_back_at
        at = START + timedelta(seconds=t - (2.0 if back else 0.0))
        yield Look(at, faces_at(np.array(rows).reshape(-1, 3), np.array(score)), np.array(truth, np.int64))


def _visible(scene: Scene, t: float) -> list[tuple[int, NDArray[np.float64]]]:
    """Who can be seen at t: a face of which a larger, so nearer, one covers 40 % cannot."""
    there = [(i, box) for i, visitor in enumerate(scene.visitors) if (box := visitor.box(t)) is not None]
    if not there:
        return []
    boxes = corners(np.array([box for _, box in there]))
    sizes = np.array([box[2] for _, box in there])
    nearer = sizes[None, :] > sizes[:, None]
    covered = np.any((overlap(boxes, boxes) > 0.4) & nearer, axis=1).tolist()
    return [
        (i, box)
        for (i, box), hidden in zip(there, covered, strict=True)
        if not hidden and not scene.visitors[i].unseen(t)
    ]


def corners(boxes: NDArray[np.float64]) -> NDArray[np.float32]:
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1).astype(np.float32)


def faces_at(boxes: NDArray[np.float64], score: NDArray[np.float64]) -> Faces:
    return Faces(corners(boxes), score.astype(np.float32), np.zeros((len(boxes), KEYPOINTS, 2), np.float32))


Rng = np.random.Generator


def walker(rng: Rng, speed: tuple[float, float], y: float, size: float, start: float = 0.0) -> Visitor:
    """Crosses the picture, one way or the other, at a speed drawn from `speed`, in face sizes per second."""
    seconds = WIDTH / (rng.uniform(*speed) * size)
    ends = [0.0, float(WIDTH)][:: int(rng.choice([-1, 1]))]
    return Visitor([start, start + seconds], ends, [y, y + rng.uniform(-1, 1) * size], [size, size])


def stander(rng: Rng, x: float, y: float, size: float, seconds: float = 6.0) -> Visitor:
    times = np.arange(0, seconds + 1, 0.5)
    sway = 0.1 * size * rng.normal(0, 1, (2, len(times)))
    return Visitor(list(times), list(x + sway[0]), list(y + sway[1]), [size] * len(times))


def missed_second(rng: Rng) -> Scene:
    gap = rng.uniform(1.0, 1.6)
    hidden = [(gap, gap + 1.0)]
    moving = [walker(rng, (2, 8), y, 40) for y in (150, 300)]
    visitors = [*moving, stander(rng, 300, 550, 60), stander(rng, 900, 550, 60)]
    return Scene([Visitor(v.times, v.xs, v.ys, v.sizes, hidden) for v in visitors])


def crossing(rng: Rng) -> Scene:
    """Two people meet in the middle; the one behind is hidden for at least half a second."""
    size, speed = 44.0, rng.uniform(2, 8)
    seconds = WIDTH / (speed * size)
    meet = seconds / 2
    y = 300 + rng.uniform(-0.3, 0.3) * size
    near = Visitor([0, seconds], [0, WIDTH], [300, 300], [48, 48])
    far = Visitor([0, seconds], [WIDTH, 0], [y, y], [40, 40], [(meet - 0.25, meet + 0.25)])
    return Scene([near, far], seconds=seconds)


def stop(rng: Rng) -> Scene:
    """Walks in, is missed for half a second while stopping, stands, and goes on or back."""
    visitors = []
    for row in range(3):
        size, speed = rng.uniform(36, 60), rng.uniform(4, 8)
        x = rng.uniform(400, 800)
        halt = x / (speed * size)
        end = [x, x, rng.choice([0.0, WIDTH])]
        times = [0, halt, halt + 2, halt + 2 + abs(end[2] - x) / (speed * size)]
        y = 150 + 200 * row
        visitors.append(Visitor(times, [0, *end], [y] * 4, [size] * 4, [(halt - 0.2, halt + 0.3)]))
    return Scene(visitors, seconds=8)


def side_by_side(rng: Rng) -> Scene:
    """Three people walk abreast or in file, two face sizes apart."""
    size, speed = 44.0, rng.uniform(2, 8)
    seconds = WIDTH / (speed * size)
    starts = [0, 2 / speed, 4 / speed]
    return Scene([Visitor([s, s + seconds], [0, WIDTH], [300, 300], [size, size]) for s in starts])


def approach(rng: Rng) -> Scene:
    def comer(x: float) -> Visitor:
        times = np.linspace(0, 3, 13)
        sizes = 30 / (1 - times / 3 * 0.85)  # from 30 to 200 px at a steady pace
        xs = x + (rng.uniform(-60, 60) * sizes / 30)
        return Visitor(list(times), list(xs), list(300 + sizes / 2), list(sizes))

    return Scene([comer(350), comer(900)], seconds=3)


def walking(fps: float) -> Callable[[Rng], Scene]:
    def make(rng: Rng) -> Scene:
        rows = [walker(rng, (4, 9), y, 50, rng.uniform(0, 1)) for y in (100, 250, 400, 550)]
        return Scene(rows, fps=fps)

    return make


def mixed(rng: Rng) -> list[Visitor]:
    moving = [walker(rng, (2, 8), y, 44, rng.uniform(0, 1)) for y in (120, 260, 400)]
    return [*moving, stander(rng, 400, 580, 60), stander(rng, 850, 580, 60)]


def misses(rng: Rng) -> Scene:
    return Scene(mixed(rng), missed=0.2, fps=10)


def false_faces(rng: Rng) -> Scene:
    return Scene(mixed(rng), missed=0.1, false=0.5)


def uneven(rng: Rng) -> Scene:
    return Scene(mixed(rng), dropped=0.5, missed=0.1)


def clock_back(rng: Rng) -> Scene:
    return Scene(mixed(rng), clock_back_at=2.0)


def turnover(rng: Rng) -> Scene:
    """Faces turn towards the camera for a second or two and away again; the next face is a new visitor."""

    def glance() -> Visitor:
        start, x, y, size = (
            rng.uniform(0, 8),
            rng.uniform(100, 1180),
            rng.uniform(60, 660),
            rng.uniform(30, 90),
        )
        times = start + np.array([0, rng.uniform(1, 2.5)])
        to_x, to_y = rng.normal([x, y], 1.5 * size)
        return Visitor(list(times), [x, to_x], [y, to_y], [size, size * rng.uniform(0.8, 1.3)])

    return Scene([glance() for _ in range(25)], seconds=11, fps=10, missed=0.1)


def crowd(rng: Rng) -> Scene:
    """Twenty faces at ten frames a second: walkers in both directions behind and before people who stand."""
    moving = [
        walker(rng, (1, 6), rng.uniform(100, 620), rng.uniform(30, 60), rng.uniform(0, 3)) for _ in range(12)
    ]
    still = [
        stander(rng, rng.uniform(60, 1220), rng.uniform(60, 660), rng.uniform(30, 60), 8) for _ in range(8)
    ]
    return Scene(moving + still, fps=10, seconds=8, missed=0.1, false=0.2)


SCENES: dict[str, Callable[[Rng], Scene]] = {
    "a second missed": missed_second,
    "two cross": crossing,
    "a stop": stop,
    "side by side": side_by_side,
    "approach": approach,
    "walking, 10 fps": walking(10),
    "walking, 5 fps": walking(5),
    "20 % missed": misses,
    "false faces": false_faces,
    "half the frames": uneven,
    "clock back 2 s": clock_back,
    "come and go": turnover,
    "crowd of 20": crowd,
}


# --- Measures ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """visitors: true ones that were detected. ids: confirmed tracks. switches: changes of a visitor's id.

    tp, labelled, real: for IDF1 = 2 tp / (labelled + real), where tp counts faces under the best one-to-one
    assignment of ids to visitors (Ristani et al., arXiv 1609.01775).
    """

    visitors: int
    ids: int
    switches: int
    tp: int
    labelled: int
    real: int


def play(make: Maker, scene: Scene, seed: int) -> Score:
    """Run a candidate over a scene."""
    candidate = make(scene.fps)
    truth, labels = [], []
    for seen in look(scene, np.random.default_rng(seed)):
        truth.append(seen.truth)
        labels.append(candidate.label(seen.faces, seen.at))
    return score(np.concatenate(truth), np.concatenate(labels))


def score(truth: NDArray[np.int64], labels: Labels) -> Score:
    """Compare labels with the truth, both face after face in the order of time."""
    visitors, ids = np.unique(truth[truth >= 0]), np.unique(labels[labels != UNCONFIRMED])
    shared = np.array([[((truth == v) & (labels == i)).sum() for i in ids] for v in visitors])
    shared = shared.reshape(len(visitors), len(ids))
    rows, columns = linear_sum_assignment(shared, maximize=True)
    switches = 0
    for visitor in visitors:
        worn = labels[(truth == visitor) & (labels != UNCONFIRMED)]
        switches += int((np.diff(worn) != 0).sum())
    return Score(
        len(visitors),
        len(ids),
        switches,
        int(shared[rows, columns].sum()),
        int((labels != UNCONFIRMED).sum()),
        int((truth >= 0).sum()),
    )


def accuracy(make: Maker, seeds: range) -> dict[str, dict[str, float]]:
    """Per scene, over all seeds: visitors, ids, switches, IDF1; "all" is their sum, of IDF1 the mean."""
    found: dict[str, dict[str, float]] = {}
    for name, scene in SCENES.items():
        scores = [play(make, scene(np.random.default_rng(seed)), seed) for seed in seeds]
        found[name] = total(scores)
    keys = ("visitors", "ids", "miscounted", "switches")
    everything = {key: sum(row[key] for row in found.values()) for key in keys}
    idf1 = round(sum(row["idf1"] for row in found.values()) / len(found), 3)
    return found | {"all": everything | {"idf1": idf1}}


def total(scores: list[Score]) -> dict[str, float]:
    tp, labelled, real = (sum(getattr(s, key) for s in scores) for key in ("tp", "labelled", "real"))
    return {
        "visitors": sum(s.visitors for s in scores),
        "ids": sum(s.ids for s in scores),
        "miscounted": sum(abs(s.ids - s.visitors) for s in scores),
        "switches": sum(s.switches for s in scores),
        "idf1": round(2 * tp / max(labelled + real, 1), 3),
    }


def milliseconds(make: Maker, n: int) -> float:
    """Median time of one frame with n faces that sway on a grid, of the quietest of five runs."""
    return round(min(median_time(make, n) for _ in range(5)) * 1000, 3)


def median_time(make: Maker, n: int, frames: int = 100) -> float:
    rng = np.random.default_rng(0)
    place = np.array([[100 + 180 * (i % 6), 80 + 120 * (i // 6), 50] for i in range(n)], float)
    candidate = make(10.0)
    took = []
    for index in range(frames):
        faces = faces_at(place + rng.normal(0, 2, place.shape), np.full(n, 0.9))
        began = time.perf_counter()
        candidate.label(faces, START + timedelta(seconds=index / 10))
        took.append(time.perf_counter() - began)
    return float(np.median(took))


def separate_ids(make: Maker) -> bool:
    """Whether a second instance starts to count where the first one did."""
    face = faces_at(np.array([[100.0, 100, 50]]), np.array([0.9]))
    first = [
        [int(candidate.label(face, START + timedelta(seconds=i / 10))[0]) for i in range(5)]
        for candidate in (make(10.0), make(10.0))
    ]
    return first[0] == first[1]


def loading(module: str) -> dict[str, float]:
    """Seconds and resident megabytes of importing a module in a fresh process; the second of two runs."""
    code = (
        f"import time, resource; t = time.perf_counter(); import {module}; "
        "print(time.perf_counter() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", code]
    for _ in range(2):
        out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    seconds, megabytes = (float(word) for word in out.stdout.split())
    return {"import_s": round(seconds, 2), "rss_mb": round(megabytes)}


# --- Recordings ----------------------------------------------------------------------------------


CLIPS = {"corridor-three.gif": 3, "one-woman.gif": 1, "empty-room.mp4": None, "crowd.mp4": None}
"""Recordings and the visitors that people count in them; None: backs of heads, and a crowd nobody counted."""


def recorded(path: Path) -> tuple[float, list[Faces]]:
    """Frames per second, and the faces of every frame: the far model, tiled where the picture is large."""
    import cv2

    from edge.vision.detect import Scanner
    from edge.vision.detect.mediapipe import MediaPipeDetector

    capture = cv2.VideoCapture(str(path))
    scanner = Scanner(MediaPipeDetector("far", 0.5), tile=540, full_scan_every=0.0, min_face=20)
    nowhere = np.zeros((0, 4), np.float32)
    found: list[Faces] = []
    while (read := capture.read())[0]:
        found.append(scanner.scan(read[1], START + timedelta(seconds=len(found)), nowhere))
    scanner.close()
    return capture.get(cv2.CAP_PROP_FPS), found


def confirmed(make: Maker, frames: list[Faces], fps: float) -> int:
    """How many tracks a candidate confirms."""
    candidate = make(fps)
    labels = [
        candidate.label(faces, START + timedelta(seconds=index / fps)) for index, faces in enumerate(frames)
    ]
    return len(np.setdiff1d(np.concatenate(labels), [UNCONFIRMED]))


def on_clips(folder: Path, makers: dict[str, Maker]) -> list[dict[str, Any]]:
    """Tracks per clip and candidate, at the clip's own rate and at about 5 frames a second."""
    rows = []
    for name, visitors in CLIPS.items():
        fps, frames = recorded(folder / name)
        for step in (1, round(fps / 5)):
            ids = {key: confirmed(make, frames[::step], fps / step) for key, make in makers.items()}
            rows.append({"clip": name, "fps": round(fps / step, 1), "visitors": visitors, "ids": ids})
    return rows


# --- The report ----------------------------------------------------------------------------------


def measure(makers: dict[str, Maker], seeds: int, clips: Path | None) -> dict[str, Any]:
    modules = {"ours": "edge.vision.track"} | ({"library": "trackers"} if len(makers) > 1 else {})
    return {
        "machine": {"cpu": platform.machine(), "python": platform.python_version()},
        "versions": {name: version_of(name) for name in ("numpy", "scipy", "trackers", "supervision")},
        "seeds": seeds,
        "loading": {name: loading(module) for name, module in modules.items()},
        "milliseconds": {
            key: {str(n): milliseconds(make, n) for n in (2, 10, 30)} for key, make in makers.items()
        },
        "separate_ids": {key: separate_ids(make) for key, make in makers.items()},
        "scenes": {key: accuracy(make, range(seeds)) for key, make in makers.items()},
        "clips": on_clips(clips, makers) if clips else [],
    }


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def report(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    names = list(result["scenes"])
    parts = [
        "# Trackers compared",
        "Written by `bench/trackers.py`, which explains how to repeat it; "
        f"{result['seeds']} seeds per scene; "
        + ", ".join(f"{name} {number or 'absent'}" for name, number in result["versions"].items())
        + ".",
    ]
    if len(names) == 1:
        parts.append("The library `trackers` is not installed: only our tracker was measured.")
    costs = [f"{name}: import {c['import_s']} s, {c['rss_mb']} MB" for name, c in result["loading"].items()]
    parts.append("Loading in a fresh process: " + "; ".join(costs) + ".")
    parts.append(table(["all scenes", *SUMMARY], [summary(result, name) for name in names]))
    parts.append(
        "Miscounted: |ids - visitors|, summed over scenes and seeds. ms: median of one frame. own ids: a "
        "second instance numbers its tracks from the start. Per scene, miscounted / switches / IDF1:"
    )
    parts.append(table(["scene", "visitors", *names], [scene_row(result, s) for s in SCENES]))
    if result["clips"]:
        parts.append("Recordings: tracks confirmed from the same detections (score from 0.5).")
        parts.append(table(["clip", "fps", "visitors", *names], [clip_row(row) for row in result["clips"]]))
    return "\n\n".join(parts) + "\n"


SUMMARY = ["miscounted", "switches", "IDF1", "ms, 2 faces", "10", "30", "own ids"]


def summary(result: dict[str, Any], name: str) -> list[str]:
    row, ms = result["scenes"][name]["all"], result["milliseconds"][name]
    own = "yes" if result["separate_ids"][name] else "no"
    return [*map(str, (name, row["miscounted"], row["switches"], row["idf1"], *ms.values())), own]


def scene_row(result: dict[str, Any], scene: str) -> list[str]:
    rows = [scenes[scene] for scenes in result["scenes"].values()]
    cells = [f"{row['miscounted']} / {row['switches']} / {row['idf1']:.2f}" for row in rows]
    return [scene, str(rows[0]["visitors"]), *cells]


def clip_row(row: dict[str, Any]) -> list[str]:
    visitors = "not counted" if row["visitors"] is None else row["visitors"]
    return [*map(str, (row["clip"], row["fps"], visitors, *row["ids"].values()))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, help="folder of the recordings; without it none is measured")
    add_out(parser, "trackers")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    result = measure(candidates(), options.seeds, options.clips)
    text = report(result)
    keep(result, text, options.out)
    print(text)


if __name__ == "__main__":
    main()
