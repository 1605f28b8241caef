"""What labelled faces say about the model of a bundle: its temperature, its figures, its confusion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.brackets import Bracket
from edge.bundle import Confusion, calibrate, load_bundle
from edge.inference import open_backend
from edge.types import Image
from training.faces import Face, read_image
from training.predict import Predictions, predict
from training.scores import confusion, fit_temperature, score_brackets, score_groups, score_years

BATCH = 8
DECIMALS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """Half of the faces fit the temperature; figures and confusion are of the other half."""

    temperature: float = 1.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    confusion: Confusion | None = None


def run_bundle(folder: Path, crops: Iterable[Image]) -> Predictions:
    """Run the bundle in `folder` over square RGB crops on one CPU thread, as a box does."""
    bundle = load_bundle(folder)
    backend = open_backend("onnxruntime", bundle, max_batch=BATCH, threads=1)
    try:
        return predict(backend, crops, bundle.input_size)
    finally:
        backend.close()


def measure_years(folder: Path, faces: Sequence[Face]) -> Measurement:
    """Fit and measure the bundle in `folder` on at least two faces whose age is known."""
    found = run_bundle(folder, (read_image(face.path) for face in faces))
    ages = np.array([face.age for face in faces], np.int64)
    half = len(faces) // 2
    temperature = round(fit_temperature(found.probs[:half], ages[:half]), 2)
    raw, ages = found.probs[half:], ages[half:]
    calibrated = calibrate(raw, temperature)
    metrics = {
        **_rounded(score_years(calibrated, ages)),
        "by_bracket": {name: _rounded(part) for name, part in score_brackets(calibrated, ages).items()},
        "uncalibrated": _rounded(score_years(raw, ages)),
        "milliseconds_per_face": round(found.milliseconds, 2),
    }
    return Measurement(temperature, metrics, confusion(calibrated, ages))


def measure_groups(
    folder: Path, crops: Sequence[tuple[Image, Bracket]], temperature: float
) -> dict[str, float]:
    """Measure the bundle in `folder` on faces of which the age group is known."""
    probs = run_bundle(folder, (crop for crop, _ in crops)).probs
    return _rounded(score_groups(calibrate(probs, temperature), [group for _, group in crops]))


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, DECIMALS) for name, value in figures.items()}
