"""The values that pass between the stages: frozen, with slots, checked when they are made.

Arrays are not copied: the maker of a value hands its arrays over and no longer writes to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.quantities import QUANTITIES, Contribution, require_bounded

AGES = 101
"""The classes of the age model: single years of age, 0..100."""

KEYPOINTS = 6
"""Right eye, left eye, nose tip, mouth, right ear, left ear: the order of MediaPipe's face detector."""

CommercialUse = Literal["allowed", "forbidden", "unknown"]
"""What the terms of an age model say of its use by a business; `unknown` is no permission."""

Image = NDArray[np.uint8]
"""Pictures (H, W, 3), or a batch of them (N, H, W, 3); who makes one says in which order its colours are."""

Boxes = NDArray[np.float32]
"""Left, top, right and bottom in pixels, (N, 4)."""


def require_array(
    name: str, array: NDArray[Any], shape: tuple[int | None, ...], dtype: type[np.generic]
) -> None:
    """Raise ValueError unless `array` has this dtype and shape (None: any length)."""
    fits = array.ndim == len(shape) and array.dtype == dtype
    for length, found in zip(shape, array.shape, strict=False):
        fits = fits and (length is None or length == found)
    if not fits:
        allowed = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{name}: {array.dtype} {array.shape}; expected {dtype.__name__} {allowed}")


def require_utc(name: str, moment: datetime) -> None:
    """Raise ValueError unless `moment` is timezone-aware and in UTC."""
    if moment.utcoffset() != timedelta(0):
        raise ValueError(f"{name} = {moment!r}: not an aware time in UTC")


class CameraState(StrEnum):
    """What a camera gives: usable pictures (up), none (down), the same one repeatedly, or a black one."""

    UP = "up"
    DOWN = "down"
    FROZEN = "frozen"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A camera's state, since when, and why. The reason never holds credentials."""

    camera_id: str
    state: CameraState
    since: datetime
    reason: str = ""

    def __post_init__(self) -> None:
        require_utc("CameraStatus.since", self.since)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera. `image` is uint8 (H, W, 3) BGR and read-only.

    state: the camera's state as of this picture. It stays with the frame, so that the coverage of a frame
    analysed later is right for the time that the frame shows. segment: it changes where the
    camera shows another time or place; the visitors in view are new ones then.
    """

    camera_id: str
    captured_at: datetime
    image: Image
    state: CameraState = CameraState.UP
    segment: int = 0

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
        """The faces of a frame without any."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, KEYPOINTS, 2), np.float32)
        )

    @classmethod
    def joined(cls, parts: Sequence[Faces]) -> Faces:
        """All of one or more, one after the other."""
        return cls(
            np.concatenate([part.xyxy for part in parts]),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.keypoints for part in parts]),
        )

    def select(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Faces:
        """The faces at these indices (M,), in their order, or where the mask (N,) is true."""
        return Faces(self.xyxy[index], self.score[index], self.keypoints[index])


class TrackState(StrEnum):
    """The life of a track: seen in few frames, confirmed, not seen in this frame, ended."""

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    LOST = "lost"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One visitor in view of one camera.

    xyxy: float32 (4,), the last or predicted box in pixels. face: the index of its face in the frame's
    `Faces`, None if this frame does not show it. track_id is unique in one tracker only. resumes: of a
    REMOVED track that turned out to be the same visitor as another, the track_id of that, which goes on.
    """

    track_id: int
    xyxy: NDArray[np.float32]
    state: TrackState
    first_seen: datetime
    last_seen: datetime
    face: int | None = None
    resumes: int | None = None

    def __post_init__(self) -> None:
        require_array("Track.xyxy", self.xyxy, (4,), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrop:
    """A square crop of one face: uint8 (S, S, 3) RGB. quality in 0..1."""

    camera_id: str
    track_id: int
    image: Image
    quality: float

    def __post_init__(self) -> None:
        require_array("FaceCrop.image", self.image, (None, None, 3), np.uint8)
        if self.image.shape[0] != self.image.shape[1]:
            raise ValueError(f"FaceCrop.image: {self.image.shape}; expected a square")


@dataclass(frozen=True, slots=True, eq=False)
class Foreseen:
    """The crops that a live track's visitor will most likely be counted with, the best first.

    The age model may judge them before the track ends, when the same objects come again. They replace those
    foreseen of the track before; none: nothing is foreseen of it any more.
    """

    camera_id: str
    track_id: int
    crops: tuple[FaceCrop, ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A visitor crossed a line of their camera. inward: to the right of the line's direction."""

    line: str
    inward: bool


@dataclass(frozen=True, slots=True)
class TrackEnded:
    """A visitor to be counted: they left the view, or stayed for the longest time that a track may last.

    zone: where they spent longest; empty where they were in no zone that visits belong to. crossings: at most
    one in each direction of each line. contributions: to the other numbers.
    """

    camera_id: str
    track_id: int
    ended_at: datetime
    dwell: timedelta
    crossings: tuple[Crossing, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    zone: str = ""


@dataclass(frozen=True, slots=True)
class GroupEnded:
    """Visitors who came together have all left. at: when the last of them was seen last. size: at least 1."""

    camera_id: str
    at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class TrackMissed:
    """A track that was no visit has ended. at: when it was seen last. reason: the cell that it counts in."""

    camera_id: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A camera's event time so far, and what happened to its frames since the last `Progress`.

    nothing_to_count: whether the last frame gave nothing to count: all its results are counted with this
    message, and no `Decided` comes.
    """

    camera_id: str
    event_time: datetime
    analysed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    state: CameraState = CameraState.UP
    nothing_to_count: bool = True

    def __post_init__(self) -> None:
        require_utc("Progress.event_time", self.event_time)


@dataclass(frozen=True, slots=True)
class Decided:
    """Everything that the frame of this time gave to count comes before this message."""

    camera_id: str
    captured_at: datetime


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A camera that will give no more frames: a recording has ended, or the camera was removed."""

    camera_id: str
    event_time: datetime


@dataclass(frozen=True, slots=True)
class CountingPlan:
    """What is counted: the zones and lines of each camera, the age brackets, and how long a window waits for
    late visits.

    A new plan holds from each camera's next window on. zones: by camera, those that a visit may belong to;
    the last takes the visits of no other. brackets: as configured. lateness: seconds. lines: the names of the
    lines of each camera that has any. tallies: by camera, the cells of each other quantity.
    """

    zones: Mapping[str, tuple[str, ...]]
    brackets: tuple[str, ...]
    lateness: float
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tallies: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)


ToCount = FaceCrop | TrackEnded | GroupEnded | TrackMissed
"""What a frame gives to count, with the pictures for it."""

Message = ToCount | Foreseen | Decided | Progress | StreamEnded | CountingPlan
"""What the counting thread receives: plans from the main thread, all else from the vision threads in
order."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One visitor to be counted: where, when, and the expected age in years (None: unclassified).

    It holds no reference to pictures or tracks, and is dropped as soon as it is counted.
    """

    camera_id: str
    at: datetime
    age: float | None
    crossings: tuple[Crossing, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    zone: str = ""

    def __post_init__(self) -> None:
        require_bounded(self.contributions)


@dataclass(frozen=True, slots=True)
class Passages:
    """How many visitors crossed a line in each direction, each counted once."""

    inward: int = 0
    outward: int = 0


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a window was watched.

    seconds: the camera gave usable pictures. analysed: frames. dropped: frames by reason.
    """

    seconds: float = 0.0
    analysed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ZoneCounts:
    """The visitors of one zone by age bracket, and those without an age."""

    counts: Mapping[str, int]
    unclassified: int = 0

    @property
    def total(self) -> int:
        """All visitors, including the unclassified."""
        return sum(self.counts.values()) + self.unclassified


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """The visitors of one window [start, end) of a camera, by zone and age bracket, without pictures or ids.

    These are the true counts: `edge.release` decides what of them may leave the box. zones: at least one; a
    visitor is in exactly one, and all have the same brackets. lines: of the visitors
    counted here, by line. tallies: the other numbers of these visitors, by quantity and cell. last: the
    camera gives no more frames, so the window's end is the end of its day.
    """

    site: str
    camera_id: str
    start: datetime
    end: datetime
    zones: Mapping[str, ZoneCounts]
    coverage: Coverage
    lines: Mapping[str, Passages] = field(default_factory=dict)
    tallies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    last: bool = False

    def __post_init__(self) -> None:
        require_utc("WindowCounts.start", self.start)
        require_utc("WindowCounts.end", self.end)
        if unknown := self.tallies.keys() - QUANTITIES.keys():
            raise ValueError(f"WindowCounts: unknown quantities {sorted(unknown)}")
        if self.start >= self.end:
            raise ValueError(f"WindowCounts: start {self.start} is not before end {self.end}")
        if len({tuple(zone.counts) for zone in self.zones.values()}) != 1:
            raise ValueError(f"WindowCounts: zones {list(self.zones)}: one or more, of the same brackets")

    @property
    def brackets(self) -> tuple[str, ...]:
        """The brackets of every zone."""
        return tuple(next(iter(self.zones.values())).counts)

    @property
    def total(self) -> int:
        """All visitors of the window, including the unclassified."""
        return sum(zone.total for zone in self.zones.values())
