"""Count crossings of a line on scenes of walks whose truth is known by construction.

    .venv/bin/python -m bench.walks [--scenes 200] [--seed 0]

The real tracker and the real lines get boxes that jitter by 5 % of a face, are missed, and hide each other,
at 5 to 25 frames a second, and the colours of clothes, as different as on recordings. Prints what was counted
beside the truth.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.trackers import HEIGHT, WIDTH, Look, Rng, Scene, Visitor, look
from edge.config import CameraSettings
from edge.types import TrackState
from edge.vision.clothes import Colours, hidden
from edge.vision.lines import Lines, Path
from edge.vision.track import Tracker

SECONDS = 60.0
VISITORS = 5  # a minute
FASTEST = 6.0  # face sizes a second

CLOTHES = (30.0, 6.0, 6.0)
"""Standard deviations between visitors of the colour of clothes in grey levels, luma and two of chroma: on
recordings 10 to 52 and 1 to 11."""

SHADE = (6.0, 1.5, 1.5)
"""The same from frame to frame of one visitor: on recordings 2 to 16 and 0.2 to 3."""

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Walks:
    """A scene with a line. truth: how often it is crossed inwards (True) and outwards (False).

    clothes: the colour of each visitor's, (N, 3).
    """

    scene: Scene
    camera: CameraSettings
    truth: Counter[bool]
    clothes: NDArray[np.float64]

    def worn(self, seen: Look, rng: Rng) -> Colours:
        """The colours of one frame's faces, (M, 3); NaN where somebody nearer hides them."""
        colours = self.clothes[seen.truth] + rng.normal(0, SHADE, (len(seen.truth), 3))
        return np.where(hidden(seen.faces.xyxy)[:, None], np.nan, colours).astype(np.float32)


@dataclass(frozen=True)
class Ground:
    """The line, in pixels: its middle, direction, the normal of its inner side, and half its length."""

    middle: Point
    along: Point
    inwards: Point
    half: float

    def at(self, along: float, across: float) -> Point:
        """The place so many half lengths along the line and pixels across it."""
        return self.middle + along * self.half * self.along + across * self.inwards


Walk = tuple[list[Point], list[float], bool | None]
"""Places in pixels, seconds of waiting, and whether it crosses inwards, outwards or not (None)."""

Kind = Callable[[Rng, Ground, float], Walk]
"""A walk of a visitor whose face has this size."""


def _through(rng: Rng, ground: Ground, size: float) -> Walk:
    """Straight over the line, between its ends."""
    side = float(rng.choice([-1, 1]))
    start, end = rng.uniform(-0.8, 0.8, 2)
    places = [
        ground.at(start, -side * rng.uniform(3, 5) * size),
        ground.at(end, side * rng.uniform(3, 5) * size),
    ]
    return places, [0.0], side > 0


def _return(rng: Rng, ground: Ground, size: float) -> Walk:
    """Over the line, and back at once: no crossing."""
    side = float(rng.choice([-1, 1]))
    turn = rng.uniform(-0.7, 0.7)
    start, end = turn + rng.uniform(-1, 1, 2) * size / ground.half  # back within `uturn_within`
    far = side * rng.uniform(1, 2) * size
    return (
        [ground.at(start, -side * 4 * size), ground.at(turn, far), ground.at(end, -side * 4 * size)],
        [0.0, 0.3],
        None,
    )


def _wait(rng: Rng, ground: Ground, size: float) -> Walk:
    """Up to the line, waiting there for some seconds, then over it or back."""
    side = float(rng.choice([-1, 1]))
    goes = bool(rng.random() < 0.5)
    start, stop, end = rng.uniform(-0.7, 0.7, 3)
    places = [
        ground.at(start, -side * 4 * size),
        ground.at(stop, -side * rng.uniform(0.1, 0.6) * size),
        ground.at(end, (side if goes else -side) * 4 * size),
    ]
    return places, [0.0, rng.uniform(2, 8)], side > 0 if goes else None


def _beside(rng: Rng, ground: Ground, size: float) -> Walk:
    """Past an end of the line: no crossing."""
    side, end = float(rng.choice([-1, 1])), float(rng.choice([-1, 1]))
    along = end * (1 + (1 + rng.uniform(0, 1)) * size / ground.half)
    return [ground.at(along, -side * 4 * size), ground.at(along, side * 4 * size)], [0.0], None


def _along(rng: Rng, ground: Ground, size: float) -> Walk:
    """Beside the line from end to end, on one side: no crossing."""
    across = float(rng.choice([-1, 1])) * rng.uniform(0.4, 1.5) * size
    ends = [-1.2, 1.2][:: int(rng.choice([-1, 1]))]
    return [ground.at(ends[0], across), ground.at(ends[1], across)], [0.0], None


KINDS: tuple[tuple[Kind, float], ...] = (
    (_through, 0.5), (_return, 0.12), (_wait, 0.14), (_beside, 0.12), (_along, 0.12),
)  # fmt: skip


def walks(rng: Rng) -> Walks:
    """One scene."""
    ground = _ground(rng)
    kinds = rng.choice(len(KINDS), VISITORS, p=[share for _, share in KINDS])
    visitors, truth = [], Counter[bool]()
    for kind in kinds:
        visitor, crossed = _visitor(rng, ground, KINDS[kind][0])
        visitors.append(visitor)
        if crossed is not None:
            truth[crossed] += 1
    fps = float(rng.choice([5, 8, 10, 15, 25]))
    scene = Scene(visitors, fps=fps, seconds=SECONDS, missed=rng.uniform(0, 0.15))
    return Walks(scene, _camera(ground), truth, rng.normal(0, CLOTHES, (VISITORS, 3)))


def _ground(rng: Rng) -> Ground:
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    middle = np.array([WIDTH, HEIGHT]) * rng.uniform(0.42, 0.58, 2)
    return Ground(middle, along, np.array([-along[1], along[0]]), rng.uniform(120, 240))


def _visitor(rng: Rng, ground: Ground, kind: Kind) -> tuple[Visitor, bool | None]:
    size = rng.uniform(24, 56)
    places, waits, crossed = kind(rng, ground, size)
    gap = rng.uniform(0.3, 1.0) if rng.random() < 0.3 else 0.0  # hidden somewhere on the way
    times, where = [rng.uniform(0, SECONDS - 20)], [places[0]]
    speed = rng.uniform(1.5, FASTEST) * size
    for place, wait in zip(places[1:], [*waits[1:], 0.0], strict=True):
        times.append(times[-1] + float(np.linalg.norm(place - where[-1])) / speed)
        where.append(place)
        if wait:
            times.append(times[-1] + wait)
            where.append(place + rng.normal(0, 0.05, 2) * size)
    middle = rng.uniform(times[0], times[-1])
    hidden = [(middle, middle + gap)] if gap else []
    xs, ys = zip(*where, strict=True)
    return Visitor(times, list(xs), list(ys), [size] * len(times), hidden), crossed


def _camera(ground: Ground) -> CameraSettings:
    one, other = (ground.at(end, 0) / (WIDTH, HEIGHT) for end in (-1, 1))
    line = {"name": "door", "from": one.tolist(), "to": other.tolist()}
    return CameraSettings.model_validate({"name": "camera", "source": "scene", "lines": [line]})


def counted(scene: Walks, rng: Rng) -> Counter[bool]:
    """What the tracker and the line make of the scene."""
    tracker, lines = Tracker(), Lines(scene.camera)
    paths: dict[int, Path] = {}
    crossings: Counter[bool] = Counter()
    confirmed: set[int] = set()

    def end(track_id: int) -> None:
        path = paths.pop(track_id, None)
        if path is not None and track_id in confirmed:
            crossings.update(crossing.inward for crossing in path.crossings())

    for frame in look(scene.scene, rng):
        for track in tracker.update(frame.faces, frame.at, scene.worn(frame, rng)):
            if track.state is TrackState.REMOVED:
                end(track.track_id)
            elif track.face is not None:
                path = paths.setdefault(track.track_id, lines.begin())
                path.see(track.xyxy, (WIDTH, HEIGHT), frame.at)
                if track.state is TrackState.CONFIRMED:
                    confirmed.add(track.track_id)
    for track in tracker.finish():
        end(track.track_id)
    return crossings


@dataclass(frozen=True)
class Score:
    """Crossings over all scenes. off: how far each scene is off, in and out together."""

    truth: Counter[bool]
    counted: Counter[bool]
    off: list[int]

    @property
    def mean_error(self) -> float:
        """Summed distances over the summed truth."""
        return sum(self.off) / max(self.truth.total(), 1)

    @property
    def within_one(self) -> float:
        """Share of scenes of which neither direction is off by more than one."""
        return float(np.mean([off <= 1 for off in self.off]))


def measure(scenes: int, seed: int = 0) -> Score:
    """Play so many scenes."""
    truth, found, off = Counter[bool](), Counter[bool](), []
    for one, seen in _played(scenes, seed):
        truth.update(one)
        found.update(seen)
        off.append(sum(abs(one[way] - seen[way]) for way in (True, False)))
    return Score(truth, found, off)


def _played(scenes: int, seed: int) -> Iterator[tuple[Counter[bool], Counter[bool]]]:
    for number in range(scenes):
        rng = np.random.default_rng((seed, number))
        scene = walks(rng)
        yield scene.truth, counted(scene, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    score = measure(arguments.scenes, arguments.seed)
    for way, name in ((True, "in"), (False, "out")):
        print(f"{name:>4}: truth {score.truth[way]}, counted {score.counted[way]}")
    print(f"mean error {score.mean_error:.3f}; scenes off by at most one {score.within_one:.3f}")


if __name__ == "__main__":
    main()
