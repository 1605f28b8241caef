"""When the tracks of a camera were seen, and what was noted of them: typed columns, one row for each."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from edge.vision.track.motion import Bools, Floats, Indices
from edge.vision.track.sightings import Sightings

Integers = NDArray[np.int64]
Micros = NDArray[np.int64]

NO_FACE = -1
NEVER = -1


@dataclass(slots=True)
class Life:
    """N tracks without their motion and clothes. Each column is (N,), `began` (N, 4); times are microseconds.

    hits: frames that have shown it. face: its index in the frame's faces, or NO_FACE. absent: time for which
    it was not seen and nobody hid it. hidden: whether somebody hides it now. unproven_from: when a face came
    that may be this one, of whose clothes nothing was seen, or NEVER. began: where it was seen first.
    dressed: whether the clothes were seen then. compared: whether it was asked whose track it resumes;
    resumes: the id of that one, or 0.
    """

    id: Integers
    first_seen: Micros
    last_seen: Micros
    hits: Integers
    face: Integers
    absent: Micros
    hidden: Bools
    unproven_from: Micros
    began: Floats
    dressed: Bools
    compared: Bools
    resumes: Integers

    @classmethod
    def begin(cls, ids: Integers, now: int, faces: Indices, seen: Sightings) -> Life:
        """Tracks of these ids that begin now, each with one of the faces seen, whose indices these are."""
        count = len(ids)
        return cls(
            id=ids,
            first_seen=np.full(count, now, np.int64),
            last_seen=np.full(count, now, np.int64),
            hits=np.ones(count, np.int64),
            face=faces.astype(np.int64),
            absent=np.zeros(count, np.int64),
            hidden=np.zeros(count, np.bool_),
            unproven_from=np.full(count, NEVER, np.int64),
            began=seen.measured,
            dressed=seen.dressed,
            compared=np.zeros(count, np.bool_),
            resumes=np.zeros(count, np.int64),
        )

    @classmethod
    def empty(cls) -> Life:
        """No track."""
        nobody = np.zeros(0, np.int64)
        return cls.begin(nobody, 0, nobody, Sightings.of(np.zeros((0, 4), np.float32), None, None, None))

    def __len__(self) -> int:
        return len(self.id)

    def extend(self, fresh: Life) -> None:
        """Add the rows of another table after these."""
        for column in fields(self):
            both = [getattr(self, column.name), getattr(fresh, column.name)]
            setattr(self, column.name, np.concatenate(both))

    def keep(self, rows: Bools) -> None:
        """Forget all rows but those where this mask (N,) is true."""
        for column in fields(self):
            setattr(self, column.name, getattr(self, column.name)[rows])
