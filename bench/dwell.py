"""Measure the time that visitors spend in a zone on scenes of walks whose truth is known by construction.

    .venv/bin/python -m bench.dwell [--scenes 200] [--seed 0]

The real tracker and the real zones get boxes that jitter by 5 % of a face, are missed, and hide each other,
at 5 to 25 frames a second. Prints how far the dwell time of a visit is off, and entries beside the truth.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.trackers import HEIGHT, WIDTH, Rng, Scene, Visitor, look
from edge.config import CameraSettings
from edge.types import TrackState
from edge.vision.track import Tracker
from edge.vision.zones import ENTERED, Stay, Zones

SECONDS = 90.0
VISITORS = 5  # in so many seconds
LATEST = 45.0  # seconds at which the last one begins
FINE = 0.02  # seconds between two moments of the truth

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Walks:
    """A scene with a zone. truth: the seconds that each visitor is in it."""

    scene: Scene
    camera: CameraSettings
    truth: list[float]


def walks(rng: Rng) -> Walks:
    """One scene: a zone of any shape, and visitors of every kind of walk."""
    middle = np.array([WIDTH, HEIGHT]) * rng.uniform(0.42, 0.58, 2)
    polygon = _polygon(rng, middle)
    visitors = [_visitor(rng, middle, KINDS[rng.integers(len(KINDS))]) for _ in range(VISITORS)]
    corners = (polygon / (WIDTH, HEIGHT)).tolist()
    zone = {"name": "zone", "role": "area", "polygon": corners}
    camera = CameraSettings.model_validate({"name": "camera", "source": "scene", "zones": [zone]})
    fps = float(rng.choice([5, 8, 10, 15, 25]))
    scene = Scene(visitors, fps=fps, seconds=SECONDS, missed=rng.uniform(0, 0.15))
    return Walks(scene, camera, [_time_within(polygon, visitor) for visitor in visitors])


def _polygon(rng: Rng, middle: Point) -> Point:
    """Four to seven corners round the middle, at distances of 90 to 240 px: some are concave."""
    number = int(rng.integers(4, 8))
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(number) / number
    distances = rng.uniform(90, 240, number)[:, None]
    return np.asarray(middle + distances * np.stack([np.cos(angles), np.sin(angles)], axis=1))


Walk = tuple[list[Point], list[float]]
"""Places relative to the middle of the zone, in pixels, and the seconds of waiting at each."""


def _way(rng: Rng, far: float) -> Point:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)]) * far


def _stay(rng: Rng) -> Walk:
    """Into the zone, standing there for some seconds, and out another way."""
    return [_way(rng, 420), _way(rng, rng.uniform(0, 80)), _way(rng, 420)], [0, rng.uniform(3, 25), 0]


def _wander(rng: Rng) -> Walk:
    """From place to place, in the zone and beside it."""
    inside = [_way(rng, rng.uniform(0, 260)) for _ in range(4)]
    return [_way(rng, 420), *inside, _way(rng, 420)], [0, *rng.uniform(0, 5, 4), 0]


def _pass(rng: Rng) -> Walk:
    """Straight through, or past it."""
    return [_way(rng, 420), _way(rng, 420)], [0, 0]


def _leave(rng: Rng) -> Walk:
    """First seen in the zone, then out of it."""
    return [_way(rng, rng.uniform(0, 60)), _way(rng, 420)], [rng.uniform(2, 15), 0]


KINDS: tuple[Callable[[Rng], Walk], ...] = (_stay, _stay, _wander, _pass, _leave)


def _visitor(rng: Rng, middle: Point, kind: Callable[[Rng], Walk]) -> Visitor:
    size, (places, waits) = rng.uniform(24, 56), kind(rng)
    speed = rng.uniform(1.5, 5.0) * size
    times, where = [rng.uniform(0, LATEST)], [middle + places[0]]
    for number, (place, wait) in enumerate(zip(places, waits, strict=True)):
        if number:
            times.append(times[-1] + float(np.linalg.norm(middle + place - where[-1])) / speed + 0.01)
            where.append(middle + place)
        if wait:
            times.append(times[-1] + wait)
            where.append(where[-1] + rng.normal(0, 0.05, 2) * size)
    gap = rng.uniform(0.3, 1.0) if rng.random() < 0.3 else 0.0  # hidden somewhere on the way
    moment = rng.uniform(times[0], times[-1])
    xs, ys = zip(*where, strict=True)
    hidden = [(moment, moment + gap)] if gap else []
    return Visitor(times, list(xs), list(ys), [size] * len(times), hidden)


def _time_within(polygon: Point, visitor: Visitor) -> float:
    """Seconds in the zone while in the picture, moment by moment."""
    outline = polygon.astype(np.float32)
    boxes = [visitor.box(t) for t in np.arange(visitor.times[0], min(visitor.times[-1], SECONDS), FINE)]
    places = [(float(box[0]), float(box[1])) for box in boxes if box is not None]
    return FINE * sum(cv2.pointPolygonTest(outline, place, measureDist=False) >= 0 for place in places)


def measured(scene: Walks, rng: Rng) -> list[list[float]]:
    """By visitor: the seconds in the zone of each of their tracks, one where the track does not break."""
    tracker, zones = Tracker(), Zones(scene.camera)
    stays: dict[int, Stay] = {}
    owners: dict[int, Counter[int]] = {}
    confirmed: set[int] = set()
    for frame in look(scene.scene, rng):
        for track in tracker.update(frame.faces, frame.at):
            if track.face is None or track.state is TrackState.REMOVED:
                continue
            stay = stays.setdefault(track.track_id, zones.begin())
            stay.see(track.xyxy, (WIDTH, HEIGHT), frame.at)
            owners.setdefault(track.track_id, Counter())[int(frame.truth[track.face])] += 1
            if track.state is TrackState.CONFIRMED:
                confirmed.add(track.track_id)
    found: list[list[float]] = [[] for _ in scene.truth]
    for track_id in confirmed:
        owner = owners[track_id].most_common(1)[0][0]
        found[owner].append(stays[track_id].spent[0].total_seconds())
    return found


@dataclass
class Score:
    """Visits that were in the zone. errors: seconds by which the dwell time of each is off, signed.

    entered, counted: visits that entered the zone, in truth and as measured. broken: with several tracks.
    """

    errors: list[float] = field(default_factory=list)
    entered: int = 0
    counted: int = 0
    broken: int = 0

    @property
    def median(self) -> float:
        """Of the absolute errors, in seconds."""
        return float(np.median(np.abs(self.errors)))


def measure(scenes: int, seed: int = 0) -> Score:
    """Play so many scenes. A visit of several tracks is judged by the longest of them."""
    score = Score()
    for number in range(scenes):
        rng = np.random.default_rng((seed, number))
        scene = walks(rng)
        for truth, found in zip(scene.truth, measured(scene, rng), strict=True):
            score.entered += truth >= ENTERED.total_seconds()
            score.counted += sum(seconds >= ENTERED.total_seconds() for seconds in found)
            score.broken += len(found) > 1
            if truth > 0:
                score.errors.append(max(found, default=0.0) - truth)
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    score = measure(arguments.scenes, arguments.seed)
    errors = np.abs(score.errors)
    print(f"visits in the zone {len(errors)}, of several tracks {score.broken}")
    print(
        f"dwell off by {score.median:.2f} s at the median, {np.percentile(errors, 90):.2f} s at the 90th "
        f"percentile, {np.mean(score.errors):+.2f} s on average"
    )
    print(f"entries: truth {score.entered}, counted {score.counted}")


if __name__ == "__main__":
    main()
