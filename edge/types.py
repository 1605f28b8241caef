"""The values that flow through the stages: frozen, slotted, checked where they are made.

Arrays are not copied; whoever makes a value hands the array over and no longer writes to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

AGES = 101
"""Single years of age that the model tells apart: 0..100."""

KEYPOINTS = 6
"""Right eye, left eye, nose tip, mouth, right ear, left ear: the order of MediaPipe's face detector."""

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]


def require_array(
    name: str, array: NDArray[Any], shape: tuple[int | None, ...], dtype: type[np.generic]
) -> None:
    """Raise ValueError unless `array` has this dtype and shape (None: any length)."""
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{name}: wants {dtype.__name__} {wanted}, not {array.dtype} {array.shape}")


def require_utc(name: str, moment: datetime) -> None:
    """Raise ValueError unless `moment` is timezone-aware and in UTC."""
    if moment.utcoffset() != timedelta(0):
        raise ValueError(f"{name}: wants an aware time in UTC, not {moment!r}")


class CameraState(StrEnum):
    """What a camera gives: usable pictures, none, the same one again and again, or a black one."""

    UP = "up"
    DOWN = "down"
    FROZEN = "frozen"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A camera's state since a moment, and why. The reason never holds credentials."""

    camera_id: str
    state: CameraState
    since: datetime
    reason: str = ""

    def __post_init__(self) -> None:
        require_utc("CameraStatus.since", self.since)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera. `image` is uint8 (H, W, 3) BGR and read-only.

    state: what the camera's pictures show, up to and with this one. It travels with the frame, so that a
    frame analysed later counts for the time that it shows.
    """

    camera_id: str
    captured_at: datetime
    image: Image
    state: CameraState = CameraState.UP

    def __post_init__(self) -> None:
        require_array("Frame.image", self.image, (None, None, 3), np.uint8)
        require_utc("Frame.captured_at", self.captured_at)
        self.image.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The faces of one frame, in its pixels.

    xyxy: float32 (N, 4) left, top, right, bottom. score: float32 (N,) in 0..1.
    keypoints: float32 (N, 6, 2) x, y in the order of `KEYPOINTS`.
    """

    xyxy: Boxes
    score: NDArray[np.float32]
    keypoints: NDArray[np.float32]

    def __post_init__(self) -> None:
        require_array("Faces.xyxy", self.xyxy, (None, 4), np.float32)
        require_array("Faces.score", self.score, (len(self.xyxy),), np.float32)
        require_array("Faces.keypoints", self.keypoints, (len(self.xyxy), KEYPOINTS, 2), np.float32)

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def empty(cls) -> Faces:
        """No face at all."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, KEYPOINTS, 2), np.float32)
        )

    def select(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Faces:
        """The faces at these indices, or where the mask is true."""
        return Faces(self.xyxy[index], self.score[index], self.keypoints[index])


class TrackState(StrEnum):
    """The life of a track: seen a few times, believed, out of sight for a moment, gone."""

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    LOST = "lost"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One visitor in view of one camera.

    xyxy: float32 (4,), the last or predicted box in pixels. face: the index of this frame's face in its
    `Faces`, None where the track was not seen in this frame. track_id is unique in one tracker only.
    """

    track_id: int
    xyxy: NDArray[np.float32]
    state: TrackState
    first_seen: datetime
    last_seen: datetime
    face: int | None = None

    def __post_init__(self) -> None:
        require_array("Track.xyxy", self.xyxy, (4,), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrop:
    """A square picture of one face: uint8 (S, S, 3) RGB. quality in 0..1."""

    camera_id: str
    track_id: int
    image: Image
    quality: float

    def __post_init__(self) -> None:
        require_array("FaceCrop.image", self.image, (None, None, 3), np.uint8)
        if self.image.shape[0] != self.image.shape[1]:
            raise ValueError(f"FaceCrop.image: wants a square, not {self.image.shape}")


@dataclass(frozen=True, slots=True)
class TrackEnded:
    """A visitor to be counted: left the view, or stayed for the longest time a track may last."""

    camera_id: str
    track_id: int
    ended_at: datetime
    dwell: timedelta


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a camera's event time has come, and what happened to its frames since the last one."""

    camera_id: str
    event_time: datetime
    analysed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    state: CameraState = CameraState.UP

    def __post_init__(self) -> None:
        require_utc("Progress.event_time", self.event_time)


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A camera that will give no more frames: the end of a file, or of the daemon."""

    camera_id: str
    event_time: datetime


@dataclass(frozen=True, slots=True)
class CountingPlan:
    """What is counted: the zone of every camera, the age brackets, and how long a window waits for the late.

    A new plan holds from every camera's next window on. brackets: as they are configured. lateness: seconds.
    """

    zones: Mapping[str, str]
    brackets: tuple[str, ...]
    lateness: float


Message = FaceCrop | TrackEnded | Progress | StreamEnded | CountingPlan
"""What the counting thread is told: by the vision threads in order per camera, by the main thread a plan."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One counted visitor: where, when, and the expected age in years (None: unclassified).

    Nothing in it points back, and it goes as soon as it is counted.
    """

    camera_id: str
    at: datetime
    age: float | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a window was really watched.

    seconds: the camera gave usable pictures. analysed: frames. dropped: frames by reason.
    """

    seconds: float = 0.0
    analysed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """The visitors of one window [start, end), by age bracket. No pixels, no ids.

    These are the true counts: `edge.release.suppression` decides what of them may leave the box.
    """

    site: str
    camera_id: str
    zone: str
    start: datetime
    end: datetime
    counts: Mapping[str, int]
    unclassified: int
    coverage: Coverage

    def __post_init__(self) -> None:
        require_utc("WindowCounts.start", self.start)
        require_utc("WindowCounts.end", self.end)
        if self.start >= self.end:
            raise ValueError(f"WindowCounts: start {self.start} is not before end {self.end}")

    @property
    def total(self) -> int:
        """All visitors of the window, the unclassified among them."""
        return sum(self.counts.values()) + self.unclassified
