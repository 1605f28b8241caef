"""Crops of all cameras in batches, their estimates fused per track, a visitor's age at the end.

Messages leave in the order in which they came: whatever follows a crop waits until that crop is judged, so a
visitor is never counted before all its pictures are, nor after the progress that closes its window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge.counting.fusion import Evidence
from edge.preprocess import to_batch
from edge.types import (
    AgeEstimate,
    CountingPlan,
    FaceCrop,
    Image,
    Message,
    Progress,
    StreamEnded,
    TrackEnded,
    Visit,
)

Infer = Callable[[Image], NDArray[np.float32]]
"""A batch of crops, uint8 (N, S, S, 3) RGB, to calibrated age distributions, float32 (N, 101)."""

Output = Visit | Progress | StreamEnded | CountingPlan


class Classifier:
    """Judges ages; used by one thread.

    infer: see `Infer`, takes at most `max_batch` crops of `size` px. max_delay: seconds that a crop waits for
    company at most. max_spread: years; a fused distribution with a larger standard deviation is unclassified.
    """

    def __init__(
        self,
        infer: Infer,
        *,
        size: int,
        max_batch: int,
        max_delay: float,
        max_spread: float,
    ) -> None:
        self._infer = infer
        self._size = size
        self._max_batch = max_batch
        self._max_delay = max_delay
        self._max_spread = max_spread
        self._waiting: deque[Message] = deque()
        self._crops = 0
        self._since = 0.0
        self._evidence: dict[tuple[str, int], Evidence] = {}

    def handle(self, message: Message, now: float) -> list[Output]:
        """Take one message at `now` (monotonic seconds) and give what is decided by it."""
        if not self._waiting and not isinstance(message, FaceCrop):
            return self._settle(message)
        if not self._waiting:
            self._since = now
        self._waiting.append(message)
        self._crops += isinstance(message, FaceCrop)
        return self.flush() if self._crops >= self._max_batch else self.poll(now)

    def poll(self, now: float) -> list[Output]:
        """What has waited for `max_delay` by `now`."""
        overdue = self._waiting and now - self._since >= self._max_delay
        return self.flush() if overdue else []

    def patience(self, now: float) -> float | None:
        """Seconds until the next `poll` is due; None while nothing waits."""
        return max(0.0, self._since + self._max_delay - now) if self._waiting else None

    def flush(self) -> list[Output]:
        """Judge all crops that wait, then settle everything that waited behind them."""
        messages, self._waiting, self._crops = self._waiting, deque(), 0
        crops = [m for m in messages if isinstance(m, FaceCrop)]
        if crops:
            self._judge(crops)
        return [output for m in messages if not isinstance(m, FaceCrop) for output in self._settle(m)]

    def _judge(self, crops: list[FaceCrop]) -> None:
        probs = self._infer(to_batch([c.image for c in crops], self._size))
        for crop, distribution in zip(crops, probs, strict=True):
            evidence = self._evidence.setdefault((crop.camera_id, crop.track_id), Evidence())
            evidence.add(distribution, crop.quality)

    def _settle(self, message: Message) -> list[Output]:
        if isinstance(message, TrackEnded):
            evidence = self._evidence.pop((message.camera_id, message.track_id), None)
            return [Visit(message.camera_id, message.ended_at, self._age(evidence))]
        if isinstance(message, StreamEnded):
            for key in [key for key in self._evidence if key[0] == message.camera_id]:
                del self._evidence[key]
        return [message] if isinstance(message, Progress | StreamEnded | CountingPlan) else []

    def _age(self, evidence: Evidence | None) -> float | None:
        if evidence is None or evidence.weight <= 0:
            return None
        estimate = AgeEstimate((evidence.weighted / evidence.weight).astype(np.float32), evidence.crops)
        # Written so that a NaN from the model ends here too.
        if not estimate.spread <= self._max_spread:
            return None
        return estimate.mean
