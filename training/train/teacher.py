"""The estimates of a teacher, an existing model, on the pictures from which a network learns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import cv2
import numpy as np

from edge.bundle import Bundle, load_bundle, sha256_of
from edge.errors import ConfigurationError
from edge.ops.terminal import Progress
from edge.types import AGES, Image
from training.predict import run_calibrated
from training.train.batches import Examples
from training.train.config import TrainSettings
from training.train.runs import drafted
from training.train.targets import Floats

ASKING = "running the teacher"

SUM_TOLERANCE = 1e-3
"""The largest deviation from 1 of the sum of a distribution in a file."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinions:
    """The estimates of a model outside this package on N pictures, read from an `.npz` file.

    keys: SHA-256 of each picture's file in hexadecimal. probs: float32 (N, 101), distributions over ages
    0..100. source: the origin of the model. terms: its terms of use. A model repeats the labels of pictures
    from which it learned, so each estimate must come from a model that learned from others (cross-fitting).
    file and sha256: the file that was read, and the hash of its bytes.
    """

    keys: Sequence[str]
    probs: Floats
    source: str
    terms: str
    file: str = ""
    sha256: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file. Raises ConfigurationError, which names it, where an array is missing or invalid."""
        try:
            content = path.read_bytes()
            with np.load(BytesIO(content)) as held:
                arrays = {name: held[name] for name in ("keys", "probs", "source", "terms")}
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read ({error.strerror or error})") from error
        except (ValueError, KeyError, EOFError, BadZipFile, AttributeError, TypeError) as error:
            raise ConfigurationError(
                f"{path}: not an .npz file with keys, probs, source and terms ({error})"
            ) from error
        keys, probs = np.atleast_1d(arrays["keys"]).tolist(), np.asarray(arrays["probs"], np.float32)
        wanted = len(keys), AGES
        if probs.shape != wanted:
            raise ConfigurationError(
                f"{path}: the shape of probs is {probs.shape}; it must be {wanted}, one row per key"
            )
        if not ((probs >= 0).all() and (np.abs(probs.sum(1) - 1) <= SUM_TOLERANCE).all()):
            raise ConfigurationError(
                f"{path}: a row of probs is not a distribution; its values must be at least 0 and sum to 1"
            )
        source, terms = str(arrays["source"]).removesuffix(","), str(arrays["terms"])
        return cls(keys, probs, source, terms, str(path), sha256_of(content))

    def write(self, path: Path) -> None:
        """Write a new file, whole or not at all. Raises ConfigurationError where the disk refuses."""
        keys, source, terms = np.array(self.keys), np.array(self.source), np.array(self.terms)
        with drafted(path) as draft, draft.open("wb") as file:
            np.savez(file, keys=keys, probs=self.probs, source=source, terms=terms)

    def of(self, keys: Sequence[str]) -> Floats:
        """The distributions for these pictures, in order; ConfigurationError where one is missing."""
        rows = {key: row for row, key in enumerate(self.keys)}
        if missing := [key for key in keys if key not in rows]:
            raise ConfigurationError(
                f"{self.file}: has no opinion of {len(missing)} of {len(keys)} pictures to learn from, "
                f"such as the one of SHA-256 {missing[0]}"
            )
        return self.probs[[rows[key] for key in keys]]


def ask_teacher(examples: Examples, name: str, settings: TrainSettings, progress: Progress) -> Examples:
    """The examples with the opinions of the configured teacher, or as they are where there is none.

    name: identifies these examples in the cache; opinions that are there are not computed again.
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
    """Whole or not at all; several workers may write it at once."""
    with drafted(path) as draft:
        np.save(draft, opinions)
