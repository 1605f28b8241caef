"""An age model run over many crops, through the same backend and preprocessing as on a box."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from edge.bundle import Probabilities
from edge.inference.base import AgeBackend
from edge.preprocess import to_batch
from edge.types import Image


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Distributions float32 (N, 101) as the model gives them, and the median time of a crop in ms."""

    probs: Probabilities
    milliseconds: float


def predict(backend: AgeBackend, crops: Iterable[Image], size: int) -> Predictions:
    """Run at least one square RGB crop, uint8 (S, S, 3) each, in batches of the backend's largest size."""
    waiting, probs, times = iter(crops), [], []
    while chunk := list(islice(waiting, backend.max_batch)):
        batch = to_batch(chunk, size)
        start = time.perf_counter()
        probs.append(backend.infer(batch))
        times.append((time.perf_counter() - start) / len(chunk))
    return Predictions(np.concatenate(probs), float(np.median(times)) * 1e3)
