"""Crops that are judged before their track ends, while nothing else waits for the age model.

When many visitors leave at once, the model has all their crops to judge, and what comes later waits. Most of
these crops are known long before. But a crop that is judged and then replaced by a better one was judged for
nothing: so some are left for the ends of the tracks, the best of each track come first, and a camera whose
visitors stay and get better pictures all the time is left alone. The ages are the same either way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from edge.types import FaceCrop, Foreseen

SPARE = 2
"""Crops that are left, in all tracks together: one batch, which takes 15 ms when they have left."""

WASTE = 0.15
"""Crops judged for nothing, of those that a camera's visitors are counted with: beyond, none is judged ahead.
Beside 154 crops of 13 recordings 20 are judged in vain; 54 without this limit, 68 if none is spared."""

FREE = 1
"""Crops of a camera that may be judged for nothing before any visitor is counted."""

MOST_TRACKS = 1024
"""Tracks whose crops are held at most; the oldest are let go then, and judged when they end."""


class Foresight:
    """The crops foreseen of live tracks, and what the model gave for some of them; used by one thread."""

    def __init__(self) -> None:
        self._tracks: dict[tuple[str, int], tuple[FaceCrop, ...]] = {}
        self._judged: dict[FaceCrop, NDArray[np.float32]] = {}
        self._used: Counter[str] = Counter()
        self._wasted: Counter[str] = Counter()
        self._waiting: list[FaceCrop] | None = []

    @property
    def has_work(self) -> bool:
        """Whether more crops wait to be judged than are spared."""
        return len(self._unjudged()) > SPARE

    def take(self, foreseen: Foreseen) -> None:
        """The crops of this track are these from now on."""
        key = foreseen.camera_id, foreseen.track_id
        self._let_go(crop for crop in self._tracks.pop(key, ()) if crop not in foreseen.crops)
        if foreseen.crops:
            self._tracks[key] = foreseen.crops
        if len(self._tracks) > MOST_TRACKS:
            self._let_go(self._tracks.pop(next(iter(self._tracks))))
        self._waiting = None

    def judge(self, most: int, infer: Callable[[list[FaceCrop]], NDArray[np.float32]]) -> None:
        """While it `has_work`, let the model judge up to `most` of the crops that are least likely to be
        replaced.

        infer: float32 (N, 101) of N crops.
        """
        waiting = self._unjudged()
        crops = waiting[: min(most, len(waiting) - SPARE)]
        self._judged.update(zip(crops, infer(crops), strict=True))
        self._waiting = None

    def claim(self, crop: FaceCrop) -> NDArray[np.float32] | None:
        """What the model gave for a crop that a visitor is counted with, float32 (101,); None: not asked."""
        key = crop.camera_id, crop.track_id
        if crop in self._tracks.get(key, ()):
            self._tracks[key] = tuple(other for other in self._tracks[key] if other is not crop)
            self._waiting = None
        self._used[crop.camera_id] += 1
        return self._judged.pop(crop, None)

    def end(self, camera: str, track: int) -> None:
        """This track was counted."""
        self._let_go(self._tracks.pop((camera, track), ()))
        self._waiting = None

    def end_camera(self, camera: str) -> None:
        """Forget all of this camera."""
        for key in [key for key in self._tracks if key[0] == camera]:
            for crop in self._tracks.pop(key):
                self._judged.pop(crop, None)
        self._waiting = None
        del self._used[camera], self._wasted[camera]

    def clear(self) -> None:
        """Forget all that is foreseen: the cameras may be others. Nothing of it counts as judged in vain."""
        self._tracks.clear()
        self._judged.clear()
        self._waiting = None

    def _let_go(self, crops: Iterable[FaceCrop]) -> None:
        for crop in crops:
            self._wasted[crop.camera_id] += self._judged.pop(crop, None) is not None

    def _unjudged(self) -> list[FaceCrop]:
        """The crops to judge, the best of each track first: before one is replaced, all worse ones are."""
        if self._waiting is None:
            ranked = [
                place
                for key, crops in self._tracks.items()
                if self._pays(key[0])
                for place in enumerate(crops)
            ]
            ranked.sort(key=itemgetter(0))
            self._waiting = [crop for _, crop in ranked if crop not in self._judged]
        return self._waiting

    def _pays(self, camera: str) -> bool:
        return self._wasted[camera] <= FREE + WASTE * self._used[camera]
