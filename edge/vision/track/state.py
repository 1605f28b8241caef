"""What is kept of every live track, one row each: its times, where it is, what is worn, its last picture.

Times are microseconds on the tracker's own axis, which begins in 1970 and never moves back.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from edge.types import Boxes, Faces
from edge.vision.clothes import behind
from edge.vision.track.blocks import FORGOTTEN_AFTER, none
from edge.vision.track.life import NEVER, NO_FACE, Life, Micros
from edge.vision.track.motion import Bools, Floats, Indices, Motion
from edge.vision.track.sightings import Sightings
from edge.vision.track.wardrobe import Wardrobe

MICROSECOND = timedelta(microseconds=1)


def micros(seconds: float) -> int:
    """Seconds as whole microseconds."""
    return timedelta(seconds=seconds) // MICROSECOND


COAST = 1.2
"""Seconds unseen after which a track is predicted no further, and waits where it was expected last."""

HIDDEN_FOR = timedelta(seconds=8)
"""Time unseen after which a track ends although a nearer person hides it: people in a queue are hidden until
the one before them has been served. 6 to 10 s give the same counts on drawn queues, whose people are hidden
for 3 s at a time."""


class Tracks:
    """All live tracks of one camera, the oldest first."""

    def __init__(self, confirm_hits: int) -> None:
        self._confirm_hits = confirm_hits
        self.life = Life.empty()
        self.motion = Motion()
        self.clothes = Wardrobe()
        self.blocks = none(0)
        self.now = self.before = 0
        self._next_id = 1

    def __len__(self) -> int:
        return len(self.life)

    @property
    def tentative(self) -> Bools:
        """Which were shown by too few frames to be confirmed, (N,)."""
        return np.asarray(self.life.hits < self._confirm_hits)

    @property
    def lost(self) -> Bools:
        """Which are confirmed, and not shown by this frame, (N,)."""
        return np.asarray(~self.tentative & (self.life.face == NO_FACE))

    @property
    def unseen(self) -> Micros:
        """Time since a frame showed each, (N,)."""
        return np.asarray(self.now - self.life.last_seen)

    @property
    def unseen_seconds(self) -> Floats:
        """The same in seconds, (N,)."""
        return self.unseen / 1e6

    def pass_time(self, step: int) -> None:
        """Let so many microseconds pass."""
        self.before = self.now
        self.now += step
        self.life.absent[~self.life.hidden] += step
        self.blocks[self.unseen > micros(FORGOTTEN_AFTER)] = 0

    def predict(self, step: int) -> None:
        """Move each to where it is expected after the last step, for as long as it is expected anywhere."""
        seconds = step / 1e6
        self.motion.predict(np.clip(COAST + seconds - self.unseen_seconds, 0, seconds))

    def show(self, rows: Indices, faces: Indices, seen: Sightings) -> None:
        """Note which of the frame's faces, by index, show which rows, and what is seen there, (n,) each.

        All other rows are not seen.
        """
        self.motion.correct(rows, seen.measured, seen.noise)
        self.clothes.add(rows, seen)
        self.blocks[rows] = seen.blocks
        life = self.life
        life.face[:] = NO_FACE
        life.face[rows] = faces
        life.hits[rows] += 1
        life.last_seen[rows] = self.now
        life.absent[rows] = 0
        life.unproven_from[rows] = NEVER

    def note_hidden(self, seen: Boxes) -> None:
        """Note which lost tracks are expected behind a nearer one of the faces seen, (M, 4)."""
        hidden = self.lost
        if hidden.any():
            hidden[hidden] = behind(self.motion.boxes()[hidden], seen)
        self.life.hidden = hidden

    def start(self, faces: Indices, seen: Sightings) -> None:
        """Add a track for each of these faces, by index, and what is seen there, (n,) each."""
        ids = self._next_id + np.arange(len(faces))
        self._next_id += len(faces)
        self.life.extend(Life.begin(ids, self.now, faces, seen))
        self.motion.start(seen.measured)
        self.clothes.start(seen)
        self.blocks = np.concatenate([self.blocks, seen.blocks])

    def keep(self, rows: Bools) -> None:
        """Forget all other rows."""
        self.life.keep(rows)
        self.motion.keep(rows)
        self.clothes.keep(rows)
        self.blocks = self.blocks[rows]

    def boxes(self, faces: Faces) -> Boxes:
        """Where each is: its face of this frame, or where it is expected, float32 (N, 4)."""
        boxes = self.motion.boxes()
        shown = self.life.face != NO_FACE
        boxes[shown] = faces.xyxy[self.life.face[shown]]
        return boxes
