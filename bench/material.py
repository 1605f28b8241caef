"""The clips that are measured: recordings beside the project, or else the demo's composed scene."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edge.capture import Feed, open_source
from edge.capture.recordings import prepare_opencv
from edge.clock import SystemClock
from edge.config import CameraSettings
from edge.types import Image

CLIPS = Path(__file__).parents[2] / "shared" / "data" / "clips"

FULL_HD = (1920, 1080)
SENSOR_NOISE = 3.0
"""Standard deviation in grey levels of the idle scene's pixels: a camera by day."""

IDLE_SECONDS = 8
IDLE_FPS = 25


@dataclass(frozen=True, slots=True)
class Material:
    """The recordings: a busy scene large and at 480 lines, an idle one in both sizes, and others.

    folder: where recordings that were counted by eye are looked for. starts: from how many of their first
    frames on these are counted.
    """

    large: Path
    small: Path
    idle_large: Path
    idle_small: Path
    others: tuple[Path, ...]
    composed: bool
    folder: Path = CLIPS
    starts: int = 1


def gather(clips: Path, folder: Path) -> Material:
    """The recordings of `clips`, or the composed scene; new clips are written to `folder`."""
    prepare_opencv()
    crowd, corridor = clips / "crowd.mp4", clips / "corridor-three.gif"
    composed = not crowd.exists()
    if composed:
        from edge.commands.demo.scene import Scene, write_clip

        crowd = folder / "scene.mp4"
        write_clip(Scene(), crowd)
    idle = write_idle(folder / "idle.mp4")
    return Material(
        large=crowd,
        small=shrink(crowd, folder / "small.mp4"),
        idle_large=idle,
        idle_small=shrink(idle, folder / "idle-small.mp4"),
        others=(corridor,) if corridor.exists() else (),
        composed=composed,
        folder=clips,
    )


def shrink(clip: Path, to: Path, size: tuple[int, int] | None = None, frames: int | None = None) -> Path:
    """The clip's first `frames` frames at `size`, or 480 lines; MPEG-4, as OpenCV encodes no H.264."""
    capture = cv2.VideoCapture(str(clip.absolute()))
    size = size or _at_480_lines(capture)
    writer = _writer(to, size, capture.get(cv2.CAP_PROP_FPS))
    while (frames is None or frames > 0) and (read := capture.read())[0]:
        writer.write(cv2.resize(read[1], size, interpolation=cv2.INTER_AREA))
        frames = None if frames is None else frames - 1
    writer.release()
    capture.release()
    return to


def _at_480_lines(capture: cv2.VideoCapture) -> tuple[int, int]:
    width = round(480 * capture.get(cv2.CAP_PROP_FRAME_WIDTH) / capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    return width // 2 * 2, 480


def write_idle(to: Path, *, size: tuple[int, int] = FULL_HD, seconds: float = IDLE_SECONDS) -> Path:
    """Write a clip of an empty shop: the composed scene's backdrop with a sensor's noise."""
    from edge.commands.demo.scene import Scene, compose  # imported here: scipy would add to a box's memory

    backdrop = cv2.resize(compose(Scene(), 0.0), size).astype(np.float32)
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, SENSOR_NOISE, backdrop.shape).astype(np.float32) for _ in range(3)]
    writer = _writer(to, size, IDLE_FPS)
    for index in range(round(seconds * IDLE_FPS)):
        grain = np.roll(noise[index % 3], 17 * index, axis=index % 2)
        writer.write((backdrop + grain).clip(0, 255).astype(np.uint8))
    writer.release()
    return to


def _writer(to: Path, size: tuple[int, int], fps: float) -> cv2.VideoWriter:
    return cv2.VideoWriter(str(to), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)


def pictures(clip: Path, fps: float, most: int | None = None) -> Iterator[Image]:
    """The clip's first pictures at no more than `fps` frames a second, as a camera keeps them."""
    return (image for _, image in islice(timed_pictures(clip, fps), most))


def timed_pictures(clip: Path, fps: float) -> Iterator[tuple[float, Image]]:
    """The clip's pictures at no more than `fps` frames a second, each with its seconds in the clip."""
    camera = CameraSettings(name="pictures", source=str(clip.absolute()), max_fps=fps)
    clock = SystemClock()
    feed = Feed(camera, lambda settings: open_source(settings, Path(), clock), clock)
    with closing(feed.frames()) as frames:
        first: datetime | None = None
        for frame in frames:
            first = first or frame.captured_at
            yield (frame.captured_at - first).total_seconds(), frame.image


def picture_size(clip: Path) -> str:
    """Width x height."""
    capture = cv2.VideoCapture(str(clip.absolute()))
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    return f"{width}x{height}"
