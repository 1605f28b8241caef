"""Who looks towards the camera, or towards what hangs beside it (defined in `docs/measures.md`).

The pose of a head follows from the six points that the second opinion finds in a face: a model of their
places on a head is turned, scaled and seen from afar (weak perspective) so that it fits best. That is one
small product of matrices and a closed form; no other network is asked, and no point is kept. Where the eyes
look is unknown: the direction of the head stands for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from edge.config import AttentionSettings, CameraSettings
from edge.quantities import ATTENTION, LOOKED, QUANTITIES, Contribution, cell_of
from edge.vision.second_opinion import Opinion

HEAD = np.array(
    [
        [-0.50, -0.34, 0.18],
        [0.50, -0.34, 0.18],
        [0.00, 0.26, 0.77],
        [0.00, 0.76, 0.45],
        [-1.09, -0.17, -0.79],
        [1.09, -0.17, -0.79],
    ]
)
"""Where the model sees eyes, nose, mouth and ears on a head that looks at the camera: to the picture's right,
down, and towards the camera, in distances between the eyes. Fitted to nine of the heads of `bench.heads`."""

FIT = np.linalg.pinv(HEAD)
"""Times points (6, 2): the rows of the turned and scaled axes. A shift of the points changes nothing."""

PITCH = 1 / 0.65
"""By how much more a head nods than the points say: the model sees them nearer to their usual places."""

SURE = 0.7
"""Score of the second opinion from which on its points tell a pose. Heads turned away by more than 45 degrees
that seem to look at the camera score 0.22 to 0.78, those that do look 0.81 and more (rendered heads)."""

LONGEST_GAP = timedelta(seconds=1)
"""Time between two looks that counts as attention where both show it."""

Vector = tuple[float, float, float]


def head_pose(keypoints: NDArray[np.float32]) -> tuple[float, float]:
    """Yaw and pitch of a head in degrees, to the picture's right and down; 0 towards the camera.

    keypoints: float32 (6, 2) of the short-range model, in pixels. NaN where they are one point.
    """
    across, along = (FIT @ keypoints).T.tolist()
    a, b, c = _dot(across, across), _dot(along, along), _dot(across, along)
    d = math.sqrt(max(a * b - c * c, 0.0))
    size = (a + d) * (b + d) - c * c
    if size <= 0:
        return math.nan, math.nan
    # The two rows of a rotation nearest to `across` and `along`: ((A + dI) / t)^-1 of both; their last
    # entries are where the head points.
    t = math.sqrt(a + b + 2 * d)
    right = t * ((b + d) * across[2] - c * along[2]) / size
    down = min(max(t * ((a + d) * along[2] - c * across[2]) / size, -1.0), 1.0)
    ahead = math.sqrt(max(1 - right * right - down * down, 0.0))
    return math.degrees(math.atan2(right, ahead)), math.degrees(math.asin(down)) * PITCH


def _dot(one: list[float], other: list[float]) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def direction(yaw: float, pitch: float) -> Vector:
    """The unit vector of these degrees: to the picture's right, down, towards the camera."""
    yaw, pitch = math.radians(yaw), math.radians(pitch)
    return math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)


@dataclass(slots=True)
class Gaze:
    """What is kept of a visitor's looks: the time that they looked, and how often in a row up to the last."""

    target: Target
    spent: timedelta = timedelta()
    last: datetime | None = None
    in_a_row: int = 0

    def see(self, opinion: Opinion, at: datetime) -> None:
        """Take one look. Time counts where two looks in a row show attention, as one may be wrong.

        A look stands for half of the time to the one before and to the one after it. So a row is longer than
        from its first to its last look, by one step.
        """
        gap = timedelta(0) if self.last is None else at - self.last
        if not timedelta(0) < gap <= LONGEST_GAP:
            self.in_a_row = 0
        self.in_a_row = self.in_a_row + 1 if self.target.holds(opinion) else 0
        if self.in_a_row > 1:
            self.spent += 2 * gap if self.in_a_row == 2 else gap
        self.last = at

    def take(self, piece: Gaze) -> None:
        """Take the looks at a later part of the visit."""
        self.spent += piece.spent
        self.last, self.in_a_row = piece.last, piece.in_a_row

    def contributions(self) -> tuple[Contribution, ...]:
        """The step of the histogram that this visit is in, once the track has ended."""
        if not self.target.enabled:
            return ()
        step = QUANTITIES[ATTENTION].step(self.spent.total_seconds())
        return (Contribution(ATTENTION, cell_of(LOOKED, step)),)


class Target:
    """Where visitors of a camera should look."""

    def __init__(self, camera: CameraSettings, settings: AttentionSettings) -> None:
        self.enabled = settings.enabled
        self._towards = direction(*camera.target)
        self._least = math.cos(math.radians(settings.angle))

    def begin(self) -> Gaze:
        """The looks of a visitor who has come into view."""
        return Gaze(self)

    def holds(self, opinion: Opinion) -> bool:
        """Whether this look shows a head that points at the target, or near enough."""
        if not self.enabled or not opinion.saw_face or opinion.score < SURE:
            return False
        head = direction(*head_pose(opinion.keypoints))
        return sum(one * other for one, other in zip(head, self._towards, strict=True)) >= self._least
