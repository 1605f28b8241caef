"""A face that hangs on a wall: a poster, a billboard or a still on a screen is no visitor.

A person moves, also one who sits at a till: within two minutes a head moves by more than a centimetre. A
picture does not, apart from the jitter of the detector.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

import numpy as np

from edge.types import Boxes

HANGS = timedelta(seconds=120)
"""Time from which on a face that keeps its place is taken for a picture."""

PLACE = 0.08
"""Distance in face sizes, of the centre or of the size, up to which a face has kept its place: 1.3 cm."""

SHARE = 0.8
"""Share of the looks that must find it in its place: people who pass hide a part of it now and then."""


LOOKS = 256
"""The newest looks that are compared: some four minutes of a settled track."""


class Place:
    """Whether one track keeps its place: how many of its looks find it near the median of them.

    The median, and not one look, since a single box may be far off while something hides a part.
    """

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._places: deque[tuple[float, float, float]] = deque(maxlen=LOOKS)
        self.is_poster = False

    def add(self, box: Boxes, at: datetime) -> None:
        """Take the box, float32 (4,), of one look."""
        left, top, right, bottom = box.tolist()
        self._since = self._since or at
        self._places.append(((left + right) / 2, (top + bottom) / 2, (right - left + bottom - top) / 2))
        self.is_poster = at - self._since >= HANGS and self._keeps()

    def _keeps(self) -> bool:
        places = np.array(self._places)
        usual = np.median(places, axis=0)
        near = np.abs(places - usual).max(axis=1) < PLACE * usual[2]
        return bool(near.mean() >= SHARE)
