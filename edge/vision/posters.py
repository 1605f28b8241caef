"""A face that hangs on a wall: a poster, a billboard or a still on a screen is no visitor.

A person moves, also one who sits at a till: within two minutes a head moves by more than a centimetre. A
picture does not, apart from the jitter of the detector.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from edge.types import Boxes

HANGS = timedelta(seconds=120)
"""Time from which on a face that keeps its place is taken for a picture."""

PLACE = 0.08
"""Distance in face sizes, of the centre or of the size, up to which a face has kept its place: 1.3 cm."""

SHARE = 0.8
"""Share of the looks that must find it in its place: people who pass hide a part of it now and then."""


class Place:
    """Whether one track keeps its place: of its looks, how many find it where the first did."""

    def __init__(self) -> None:
        self._anchor: NDArray[np.float32] | None = None
        self._since: datetime | None = None
        self._looks = 0
        self._in_place = 0
        self.is_poster = False

    def add(self, box: Boxes, at: datetime) -> None:
        """Take the box, float32 (4,), of one look."""
        place = np.append((box[:2] + box[2:]) / 2, (box[2:] - box[:2]).mean())
        if self._anchor is None or self._since is None:
            self._anchor, self._since = place, at
        self._looks += 1
        self._in_place += bool(np.abs(place - self._anchor).max() < PLACE * self._anchor[2])
        self.is_poster = at - self._since >= HANGS and self._in_place >= SHARE * self._looks
