"""Made-up faces and bundles: models that know what they are told, without a picture of anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edge.brackets import DEFAULT_BRACKETS, parse_brackets
from edge.bundle import PartTerms
from training.dataset import Prepared
from training.evaluation.scores import Judged, judge
from training.evaluation.truth import Truth

BRACKETS = parse_brackets(DEFAULT_BRACKETS)


def certain(*ages: int) -> np.ndarray:
    """Distributions (N, 101) that hold one age for sure."""
    return np.eye(101, dtype=np.float32)[list(ages)]


def blend(shares: Mapping[int, float]) -> np.ndarray:
    """One distribution (1, 101) that holds each age with its share."""
    probs = np.zeros((1, 101), np.float32)
    probs[0, list(shares)] = list(shares.values())
    return probs


def years(*ages: float) -> Truth:
    return Truth.of(ages, ages)


def judged(estimates: Sequence[int], ages: Sequence[float]) -> Judged:
    """Faces of these ages that a model is sure to have these estimates."""
    return judge(certain(*estimates), years(*ages), BRACKETS)


def noisy(count: int, spread: float, seed: int = 0) -> Judged:
    """People of 5 to 89 years whose estimates are off by a normal error of `spread` years."""
    random = np.random.default_rng(seed)
    ages = np.random.default_rng(1).integers(5, 90, count)
    estimates = np.clip(ages + random.normal(0, spread, count), 0, 100).round().astype(int)
    return judged(estimates.tolist(), ages.tolist())


def prepared(
    low: Sequence[float], high: Sequence[float] | None = None, *, size: int = 16, **traits: Sequence[str]
) -> Prepared:
    """Crops of noise with these labels: eight in ten for training, the others for validation and test."""
    count = len(low)
    crops = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
    parts = np.array(["train"] * 8 + ["validation", "test"])[np.arange(count) % 10]
    return Prepared(
        crops=crops,
        low=np.array(low, np.float32),
        high=np.array(low if high is None else high, np.float32),
        traits={name: np.array(values) for name, values in traits.items()},
        split=parts,
        keys=np.array([f"{i:064x}" for i in range(count)]),
        source="made up",
        terms=(PartTerms(part="made up", licence="free"),),
        files=np.array([f"{i}.png" for i in range(count)]),
        groups=np.arange(count),
        sets=np.zeros(count, np.intp),
    )


def labelled_folder(folder: Path, count: int = 30) -> Path:
    """Pictures of noise with ages and traits, in the layout of labels.csv."""
    import cv2

    (folder / "final_files").mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = ["file_name,real_age,gender,ethnicity"]
    for i in range(count):
        patches = random.integers(0, 256, (8, 8, 3), np.uint8)
        picture = cv2.resize(patches, (64, 64), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / "final_files" / f"{i}.png"), picture)
        rows.append(f"{i}.png,{3 * i},{('female', 'male')[i % 2]},{('here', 'there', '')[i % 3]}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder
