"""Crops of all cameras in batches through the age model; a visitor's age is decided when their track ends.

Messages leave in the order in which they came: everything behind a crop waits until the model has seen that
crop. So a visitor is counted after all their crops were used, and before the progress that closes the window.
Crops that are foreseen wait for nothing and hold up nothing: they are judged when there is time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge.counting.foresight import Foresight
from edge.counting.visitor_age import VisitorAge
from edge.preprocess import to_batch
from edge.types import (
    CountingPlan,
    Decided,
    FaceCrop,
    Foreseen,
    GroupEnded,
    Image,
    Message,
    Progress,
    StreamEnded,
    ToCount,
    TrackEnded,
    TrackMissed,
    Visit,
)

Infer = Callable[[Image], NDArray[np.float32]]
"""A batch of crops, uint8 (N, S, S, 3) RGB, to calibrated age distributions, float32 (N, 101)."""

Output = Visit | GroupEnded | TrackMissed | Decided | Progress | StreamEnded | CountingPlan


class Classifier:
    """Turns crops and ended tracks into visits with an age; used by one thread.

    infer: see `Infer`; it gets `batch()` crops of `size` px at most: as many as it takes at this moment with
    a gain, since nothing overtakes a batch that is at work. max_delay: seconds that a crop waits
    at most for a batch to fill. max_spread: years; a visitor whose age has a larger standard deviation is
    unclassified.
    """

    def __init__(
        self,
        infer: Infer,
        *,
        size: int,
        batch: Callable[[], int],
        max_delay: float,
        max_spread: float,
    ) -> None:
        self._infer = infer
        self._size = size
        self._batch = batch
        self._max_delay = max_delay
        self._max_spread = max_spread
        self._waiting: deque[Message] = deque()
        self._crops = 0
        self._foresight = Foresight()
        self._known: dict[FaceCrop, NDArray[np.float32]] = {}
        self._since = 0.0
        self._ages: dict[tuple[str, int], VisitorAge] = {}

    def handle(self, message: Message, now: float) -> list[Output]:
        """Take one message at `now` (monotonic seconds); the outputs that are ready after it."""
        if isinstance(message, Foreseen):
            self._foresight.take(message)
            return self.poll(now)
        if not self._waiting and not isinstance(message, FaceCrop):
            return self._output(message)
        if not self._waiting:
            self._since = now
        self._waiting.append(message)
        self._crops += isinstance(message, FaceCrop) and not self._is_known(message)
        return self.flush() if self._crops >= self._batch() or not self._crops else self.poll(now)

    @property
    def may_judge_ahead(self) -> bool:
        """Whether nothing waits, and there are foreseen crops that it pays to judge now."""
        return not self._waiting and self._foresight.has_work

    def judge_ahead(self) -> None:
        """Run the model on one batch of foreseen crops."""
        self._foresight.judge(self._batch(), self._infer_crops)

    @property
    def holds_back(self) -> bool:
        """Whether what comes later must not overtake: not only crops and what is counted with them wait."""
        return any(not isinstance(message, ToCount | Decided) for message in self._waiting)

    def poll(self, now: float) -> list[Output]:
        """The outputs that have waited for `max_delay` by `now`."""
        overdue = self._waiting and now - self._since >= self._max_delay
        return self.flush() if overdue else []

    def patience(self, now: float) -> float | None:
        """Seconds until the next `poll` is due; None while nothing waits."""
        return max(0.0, self._since + self._max_delay - now) if self._waiting else None

    def flush(self) -> list[Output]:
        """Run the model on all waiting crops; the outputs that waited behind them."""
        messages, self._waiting, self._crops = self._waiting, deque(), 0
        crops = [m for m in messages if isinstance(m, FaceCrop) and m not in self._known]
        if crops:
            self._known.update(zip(crops, self._infer_crops(crops), strict=True))
        outputs = [output for m in messages for output in self._output(m)]
        self._known.clear()
        return outputs

    def _infer_crops(self, crops: list[FaceCrop]) -> NDArray[np.float32]:
        """Run the model on one batch: float32 (N, 101)."""
        return self._infer(to_batch([c.image for c in crops], self._size))

    def _is_known(self, crop: FaceCrop) -> bool:
        """Whether the model has judged this crop ahead of time; if so, keep what it gave."""
        found = self._foresight.claim(crop)
        if found is not None:
            self._known[crop] = found
        return found is not None

    def _output(self, message: Message) -> list[Output]:
        """A visit for an ended track; nothing for a crop, which was judged; all else as it is.

        Forgets the tracks of a camera that has ended.
        """
        if isinstance(message, FaceCrop):
            age = self._ages.setdefault((message.camera_id, message.track_id), VisitorAge())
            age.add(self._known[message], message.quality)
        if isinstance(message, CountingPlan):
            self._foresight.clear()
        if isinstance(message, TrackEnded):
            self._foresight.end(message.camera_id, message.track_id)
            age = self._ages.pop((message.camera_id, message.track_id), VisitorAge())
            return [_visit(message, age.decide(self._max_spread))]
        if isinstance(message, StreamEnded):
            self._foresight.end_camera(message.camera_id)
            for key in [key for key in self._ages if key[0] == message.camera_id]:
                del self._ages[key]
        passed_on = GroupEnded | TrackMissed | Decided | Progress | StreamEnded | CountingPlan
        return [message] if isinstance(message, passed_on) else []


def _visit(ended: TrackEnded, age: float | None) -> Visit:
    return Visit(ended.camera_id, ended.ended_at, age, ended.crossings, ended.contributions, ended.zone)
