"""Does a camera deliver frames, at what rate, and are there faces in them?"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from edge.capture import Feed, open_source, validate_source
from edge.clock import Clock
from edge.commands.check.verdict import Warn
from edge.config import CameraSettings, Settings
from edge.errors import SourceError
from edge.types import CameraState, Frame
from edge.vision.detect import why_too_small
from edge.vision.pipeline import build_detection

FRAMES = 10
"""Frames read from a camera: enough to measure its rate."""

SEARCHED = 4
"""How many of them are searched for faces, the last ones: a single frame may miss a face."""


def check_camera(
    camera: CameraSettings, settings: Settings, folder: Path, clock: Clock, *, faces: bool = True
) -> str:
    """Read a few frames. faces: whether to say how many are in view: only to the person at the box.

    Raises SourceError and ConfigurationError; `Warn` where the picture is dark, frozen or too small.
    """
    validate_source(camera, folder)
    feed = Feed(camera, partial(open_source, secrets_beside=folder, clock=clock), clock)
    with closing(feed.frames()) as frames:
        taken = list(islice(frames, FRAMES))
    if not taken:
        raise SourceError("no frame arrived")
    seen = f"{_size(taken[-1])}{_rate(taken)}, {feed.status.state}"
    if feed.status.state is not CameraState.UP:
        raise Warn(f"{seen}: {feed.status.reason}")
    if faces:
        seen = f"{seen}, {_in_view(_faces(camera, settings, taken[-SEARCHED:]))}"
    if small := why_too_small(taken[-1].image, settings.detection.min_face):
        raise Warn(f"{seen}; {small}")
    return seen


def _in_view(faces: int) -> str:
    return f"{faces or 'no'} face{'' if faces == 1 else 's'} now"


def _size(frame: Frame) -> str:
    height, width = frame.image.shape[:2]
    return f"{width}x{height}"


def _rate(frames: list[Frame]) -> str:
    seconds = (frames[-1].captured_at - frames[0].captured_at).total_seconds()
    return f", {(len(frames) - 1) / seconds:.1f} frames per second" if seconds > 0 else ""


def _faces(camera: CameraSettings, settings: Settings, frames: list[Frame]) -> int:
    """The most faces in one of these frames, by both detectors and with the daemon's threshold."""
    scanner, opinion = build_detection(camera, settings)
    no_tracks = np.zeros((0, 4), np.float32)
    most = 0
    with closing(scanner), closing(opinion):
        for frame in frames:
            found = scanner.scan(frame.image, frame.captured_at, no_tracks)
            second = np.array([opinion.examine(frame.image, box).score for box in found.xyxy])
            scores = np.sqrt(found.score * second) if len(second) else second
            most = max(most, int((scores >= settings.detection.second_opinion).sum()))
    return most
