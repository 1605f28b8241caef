"""An age model run over many crops, through the same backend and preprocessing as on a box."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from edge.bundle import Bundle, Probabilities, calibrate, load_bundle
from edge.config import Precision
from edge.errors import ConfigurationError
from edge.inference import open_backend
from edge.inference.backend import AgeBackend
from edge.preprocess import to_batch
from edge.types import Image

BATCH = 8
"""Crops in a call: what a box takes at most by default."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Distributions float32 (N, 101) and the median time of a crop in ms."""

    probs: Probabilities
    milliseconds: float


def predict(backend: AgeBackend, crops: Iterable[Image], size: int) -> Predictions:
    """Run at least one square RGB crop, uint8 (S, S, 3) each, in batches of the backend's largest size.

    The distributions are as the model gives them.
    """
    waiting, probs, times = iter(crops), [], []
    while chunk := list(islice(waiting, backend.max_batch)):
        batch = to_batch(chunk, size)
        start = time.perf_counter()
        probs.append(backend.infer(batch))
        times.append((time.perf_counter() - start) / len(chunk))
    return Predictions(np.concatenate(probs), float(np.median(times)) * 1e3)


def run_bundle(folder: Path, crops: Iterable[Image]) -> Predictions:
    """Run the bundle in `folder` over square RGB crops on one CPU thread; see `predict`."""
    return run_raw(load_bundle(folder), crops)


def run_raw(bundle: Bundle, crops: Iterable[Image]) -> Predictions:
    """Run a bundle over square RGB crops on one CPU thread, as a box does; see `predict`."""
    backend = open_backend("onnxruntime", bundle, max_batch=BATCH, threads=1)
    try:
        return predict(backend, crops, bundle.input_size)
    finally:
        backend.close()


def run_calibrated(bundle: Bundle, crops: Iterable[Image]) -> Predictions:
    """The same at the bundle's temperature: what a box counts with."""
    found = run_raw(bundle, crops)
    return Predictions(calibrate(found.probs, bundle.temperature), found.milliseconds)


def in_precision(bundle: Bundle, precision: Precision) -> Bundle:
    """The bundle with its graph of this precision; ConfigurationError where it has none."""
    if precision == "fp32":
        return bundle
    if precision not in bundle.variants:
        held = ", ".join(["fp32", *sorted(bundle.variants)])
        raise ConfigurationError(f"{bundle.folder}: has no variant {precision!r}; it has {held}")
    return replace(bundle, model_path=bundle.variants[precision])
