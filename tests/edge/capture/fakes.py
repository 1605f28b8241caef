"""Sources that follow a script, so that a camera's faults come when a test wants them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from edge.capture import Picture
from edge.config import CameraSettings
from edge.errors import SourceError
from edge.types import Image
from tests.synthetic_video import picture

Step = Picture | SourceError | Callable[[], None] | None


class ScriptedSource:
    """Gives the pictures of its script and raises the errors in it; a function is called on the way."""

    def __init__(self, script: Iterable[Step], *, live: bool = True) -> None:
        self.live = live
        self.corrupt = 0
        self.closed = False
        self._script = iter(script)

    def read(self) -> Picture | None:
        for step in self._script:
            if isinstance(step, SourceError):
                raise step
            if step is None or isinstance(step, Picture):
                return step
            step()
        return None

    def close(self) -> None:
        self.closed = True


class Openings:
    """An `open_source` that gives one thing after the other: a source, or the error of opening it."""

    def __init__(self, *steps: ScriptedSource | SourceError) -> None:
        self._steps: Iterator[ScriptedSource | SourceError] = iter(steps)
        self.opened: list[ScriptedSource] = []

    def __call__(self, settings: CameraSettings) -> ScriptedSource:
        step = next(self._steps)
        if isinstance(step, SourceError):
            raise step
        self.opened.append(step)
        return step


def dice(seed: int = 1) -> random.Random:
    """Randomness that is the same in every run."""
    return random.Random(seed)


class Counted:
    """A `Decoded` picture of one tone that counts how often it is converted, or cannot be."""

    def __init__(self, level: int, *, broken: bool = False) -> None:
        self.sample = grey(level)[::2, ::2]
        self.converted = 0
        self._broken = broken

    def image(self) -> Image:
        if self._broken:
            raise SourceError("a frame cannot be converted: invalid argument")
        self.converted += 1
        return np.repeat(np.repeat(self.sample, 2, axis=0), 2, axis=1)


def live(number: int) -> Picture:
    """A picture of this moment."""
    return Picture(picture(number))


def recorded(number: int, offset: float) -> Picture:
    """A picture of a recording."""
    return Picture(picture(number), offset)


def grey(level: int) -> Image:
    """A picture of one tone."""
    return np.full((90, 160, 3), level, np.uint8)


def camera_settings(source: str = "rtsp://192.0.2.10/stream", **changes: object) -> CameraSettings:
    """Settings of a camera named door."""
    return CameraSettings.model_validate({"name": "door", "source": source, **changes})
