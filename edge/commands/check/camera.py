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
from edge.vision.second_opinion import network_check

FRAMES = 10
"""Frames read from a camera."""

STREAMED = 30
"""The same of one that sends at its own rate. The last `STEADY` show it: the first come in a burst."""

STEADY = 20

ALL = 120.0
"""Frames a second: all that a camera sends."""

WASTED = 2.0
"""Frames sent for each analysed one from which on the camera had better send fewer: each is decoded."""

LARGE = 1440
"""Lines of a picture from which on decoding takes most of the time, and a smaller stream is advised."""

SEARCHED = 4
"""How many of them are searched for faces, the last ones: a single frame may miss a face."""


def check_camera(
    camera: CameraSettings, settings: Settings, folder: Path, clock: Clock, *, faces: bool = True
) -> str:
    """Read a few frames. faces: whether to say how many are in view: only to the person at the box.

    Raises SourceError and ConfigurationError; `Warn` where the picture is dark, frozen or too small, or is
    decoded otherwise than configured.
    """
    validate_source(camera, folder)
    streams = camera.source.startswith(("rtsp://", "rtsps://"))
    read = camera.model_copy(update={"max_fps": ALL}) if streams else camera
    feed = Feed(read, partial(open_source, secrets_beside=folder, clock=clock), clock)
    with closing(feed.frames()) as frames:
        taken = list(islice(frames, STREAMED if streams else FRAMES))
    if not taken:
        raise SourceError("no frame arrived")
    steady = taken[-STEADY:]
    seen = f"{_size(taken[-1])}{_rate(steady)}, {feed.status.state}"
    if feed.status.state is not CameraState.UP:
        raise Warn(f"{seen}: {feed.status.reason}")
    if faces:
        apart = steady[:: -(len(steady) // SEARCHED or 1)][:SEARCHED]
        seen = f"{seen}, {_in_view(_faces(camera, settings, apart[::-1]))}"
    if streams and (advised := advice(_per_second(steady), camera.max_fps, taken[-1].image.shape[0])):
        seen = f"{seen}; {advised}"
    small = why_too_small(taken[-1].image, settings.detection.min_face)
    if warnings := [why for why in (feed.status.reason, small) if why]:
        raise Warn("; ".join((seen, *warnings)))
    return seen


def _in_view(faces: int) -> str:
    return f"{faces or 'no'} face{'' if faces == 1 else 's'} now"


def _size(frame: Frame) -> str:
    height, width = frame.image.shape[:2]
    return f"{width}x{height}"


def advice(rate: float, max_fps: float, lines: int) -> str:
    """What would spare the box work; empty where there is nothing. rate: frames a second that are sent."""
    found = []
    if rate >= WASTED * max_fps:
        found.append(f"max_fps = {max_fps:g} analyses {max_fps:g} of them: let the camera send about as many")
    if lines >= LARGE:
        found.append(
            f"{lines} lines take long to decode: use the camera's second stream (sub-stream), if it has one "
            "in which the faces are still 24 pixels or wider; its address is in the camera's manual"
        )
    return "; ".join(found)


def _per_second(frames: list[Frame]) -> float:
    seconds = (frames[-1].captured_at - frames[0].captured_at).total_seconds()
    return (len(frames) - 1) / seconds if seconds > 0 else 0.0


def _rate(frames: list[Frame]) -> str:
    rate = _per_second(frames)
    return f", {rate:.1f} frames per second" if rate else ""


def _faces(camera: CameraSettings, settings: Settings, frames: list[Frame]) -> int:
    """The most faces in one of these frames, by the detector, the face check and the daemon's threshold."""
    scanner, opinion = build_detection(camera, settings)
    check = network_check()
    no_tracks = np.zeros((0, 4), np.float32)
    most = 0
    with closing(scanner), closing(opinion):
        for frame in frames:
            found = scanner.scan(frame.image, frame.captured_at, no_tracks)
            likely = np.array([check(frame.image, box) for box in found.xyxy])
            most = max(most, int((likely >= settings.detection.second_opinion).sum()))
    return most
