"""What a teacher, a model that is there already, says of the pictures that a network learns from."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from edge.bundle import Bundle, load_bundle
from edge.types import Image
from training.predict import run_calibrated
from training.progress import Progress
from training.train.batches import Examples
from training.train.config import TrainSettings
from training.train.runs import writing
from training.train.targets import Floats

ASKING = "asking the teacher"


def ask_teacher(examples: Examples, name: str, settings: TrainSettings, progress: Progress) -> Examples:
    """The examples with the opinions of the configured teacher, or as they are where there is none.

    name: tells these examples from others, for the cache. What was asked before is taken from there.
    """
    if not settings.teacher.folder:
        return examples
    bundle = load_bundle(settings.teacher.folder)
    asked = hashlib.sha256(f"{bundle.sha256} {name}".encode()).hexdigest()[:16]
    path = settings.data.cache / f"teacher-{asked}.npy"
    if not path.exists():
        _write(path, _opinions(bundle, examples, progress))
    return replace(examples, opinions=np.load(path))


def _opinions(bundle: Bundle, examples: Examples, progress: Progress) -> Floats:
    """Distributions, (N, 101): the mean of those for each face and for its mirror image."""
    both = run_calibrated(bundle, _both_ways(examples, progress)).probs
    return np.asarray(both.reshape(len(examples), 2, -1).mean(1), np.float32)


def _both_ways(examples: Examples, progress: Progress) -> Iterator[Image]:
    for index in range(len(examples)):
        crop = examples.crop(index)
        yield crop
        yield np.asarray(cv2.flip(crop, 1), np.uint8)
        progress(ASKING, index + 1, len(examples))


def _write(path: Path, opinions: Floats) -> None:
    """In full or not at all; several workers may do it at once."""
    with writing(path.parent), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        np.save(draft, opinions)
        draft.replace(path)
