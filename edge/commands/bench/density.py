"""How many cameras this box keeps up with, at five frames a second each: its stream density.

A box keeps up when it drops at most one frame in 200 and decides on 95 % of its frames within 200 ms of their
capture. Trials find the number: each further one tries the number that the processor time of the last trial
predicts, until the next step would fail.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import cv2

from edge.commands.bench.box import WatchedBox, Work
from edge.commands.demo.scene import Scene, compose
from edge.config import CameraSettings, Settings
from edge.errors import OutsideError
from edge.ops.terminal import Progress, silent

FPS = 5.0
IN_TIME_MS = 200.0
DROPS = 1 / 200
MOST = 64
"""Cameras tried at most: beyond, the number of threads and sockets distorts the measurement."""

TRIALS = 6
STEP = 1.1
"""The trials end when the smallest number that fails is at most so many times the largest that keeps up."""

OWN_TRIALS, WARM_UP = 4, 1.0
SHORTEST, LONGEST = 3.0, 8.0
"""Seconds of a trial of the command: `LONGEST` for one camera, so that its 95th percentile is of 40 frames,
and fewer for more cameras. All take half a minute, with their starts."""

DRAWN_SECONDS, DRAWN_FPS, DRAWN_SIZE = 6.0, 10.0, (1920, 1080)
BUSY_FROM = 3.0
"""Seconds into the scene from which on somebody is in view all the time."""


def keeps_up(done: Work) -> bool:
    """Whether the box dropped at most one frame in 200 and decided on 95 % of the others in time."""
    frames = done.analysed + done.dropped
    return done.analysed > 0 and done.dropped <= DROPS * frames and done.decision_p95_ms <= IN_TIME_MS


def most_cameras(
    trial: Callable[[int], Work], first: int, trials: int = TRIALS, cores: float = 2.0
) -> list[Work]:
    """Try numbers of cameras, from `first` on, towards the most that a box keeps up with; all trials."""
    done: list[Work] = []
    low, high = 0, MOST + 1
    cameras = min(first, MOST)
    while len(done) < trials and low < cameras < high:
        done.append(found := trial(cameras))
        low, high = (cameras, high) if keeps_up(found) else (low, cameras)
        if high <= max(low * STEP, low + 1):
            break
        cameras = _next(found, low, high, cores)
    return done


def _next(last: Work, low: int, high: int, cores: float) -> int:
    """The number that the last trial predicts, between the known bounds."""
    predicted = round(0.95 * last.cameras * cores / max(last.cores, 0.01))
    if high > MOST:  # nothing has failed yet
        return min(max(predicted, low + 1), MOST)
    return predicted if low < predicted < high else (low + high) // 2


@dataclass(frozen=True, slots=True)
class Density:
    """What the trials of one recording found."""

    clip: str
    trials: tuple[Work, ...]

    @property
    def kept(self) -> Work | None:
        """The largest number of cameras that the box kept up with."""
        return max((one for one in self.trials if keeps_up(one)), key=lambda one: one.cameras, default=None)

    @property
    def failed(self) -> Work | None:
        """The smallest that it did not keep up with; None: more were not tried."""
        failed = (one for one in self.trials if not keeps_up(one))
        return min(failed, key=lambda one: one.cameras, default=None)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        trials = [
            {
                "cameras": one.cameras,
                "keeps_up": keeps_up(one),
                "decision_p95_ms": round(one.decision_p95_ms, 1),
                "frames": one.analysed + one.dropped,
                "dropped": one.dropped,
                "cores": round(one.cores, 2),
                "cpu_ms_per_frame": round(one.cpu_ms_per_frame, 1),
            }
            for one in self.trials
        ]
        kept = self.kept
        return {
            "clip": self.clip,
            "cameras": kept.cameras if kept else 0,
            "bounded": self.failed is not None,
            "frames_per_second": FPS,
            "trials": trials,
        }

    def in_words(self) -> str:
        """For a person."""
        kept, failed = self.kept, self.failed
        number = kept.cameras if kept else 0
        found = [
            f"{self.clip}: this box takes {number} camera{'' if number == 1 else 's'} of it at {FPS:g} fps"
        ]
        found += [f"{one.cameras}: {_of(one)}" for one in (kept, failed) if one]
        return "; ".join(found if failed else [*found, "more were not tried"])


def _of(one: Work) -> str:
    frames = one.analysed + one.dropped
    return (
        f"p95 {one.decision_p95_ms:.0f} ms, {one.dropped} of {frames} frames dropped, {one.cores:.1f} cores"
    )


def measure(settings: Settings, camera: CameraSettings, beside: Path, progress: Progress = silent) -> Density:
    """Find the number for the recording of this camera, with the detection and model of the settings.

    progress: called with the finished trials and the most that there can be, before each and at the end.
    """
    step, finished = f"trials of {camera.name}", count()

    def trial(cameras: int) -> Work:
        progress(step, next(finished), OWN_TRIALS)
        seconds = max(SHORTEST, LONGEST / cameras)
        with tempfile.TemporaryDirectory(prefix="instore-bench-") as state:
            return WatchedBox(box_of(settings, camera, cameras, state), beside).run(seconds, WARM_UP)

    cores = len(os.sched_getaffinity(0))
    trials = tuple(most_cameras(trial, max(1, cores // 2), OWN_TRIALS, cores))
    progress(step, len(trials), len(trials))
    return Density(camera.name, trials)


def box_of(settings: Settings, camera: CameraSettings, cameras: int, state: str) -> Settings:
    """A box with so many cameras on one recording, which sends nothing and keeps nothing."""
    # One group: nobody is to be warned of cameras that we made. It changes nothing else.
    plain = {"loop": True, "pace": "real", "max_fps": FPS, "group": "bench"}
    silent = {name: getattr(settings, name).model_copy(update={"enabled": False}) for name in ("mqtt", "web")}
    return settings.model_copy(
        update={
            **silent,
            "cameras": tuple(
                camera.model_copy(update={**plain, "name": f"camera-{number}"}) for number in range(cameras)
            ),
            "home_assistant": settings.home_assistant.model_copy(update={"enabled": False}),
            "metrics": settings.metrics.model_copy(update={"enabled": False}),
            "webhook": settings.webhook.model_copy(update={"url": ""}),
            "history": settings.history.model_copy(update={"days": 0}),
            "outbox": settings.outbox.model_copy(update={"directory": state}),
        }
    )


def draw(path: Path, progress: Progress = silent) -> None:
    """Write the clip that is played where none is given: visitors in view all the time, at 1080p, MPEG-4.

    progress: called with the written frames and their number. Raises OutsideError where it cannot be written.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), DRAWN_FPS, DRAWN_SIZE)
    if not writer.isOpened():
        raise OutsideError(f"{path}: cannot be written; the folder must exist and be writable")
    scene = Scene()
    frames = math.ceil(DRAWN_SECONDS * DRAWN_FPS)
    for number in range(frames):
        writer.write(cv2.resize(compose(scene, BUSY_FROM + number / DRAWN_FPS), DRAWN_SIZE))
        progress("frames of a drawn scene", number + 1, frames)
    writer.release()
