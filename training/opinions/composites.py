"""Faces put together from two training faces of one fold, with the opinion of that fold's head.

A pupil learns more of a teacher from changed pictures that both see (Beyer et al. 2022, arXiv 2106.05237).
The head of the fold learnt from neither of the two faces, so it repeats no label.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.ops.terminal import Progress, silent
from edge.types import Image
from training.staging import staged
from training.train.batches import Examples
from training.train.composites import CROPS, KEYS, PROBS
from training.train.targets import Floats

Indices = NDArray[np.intp]
Years = NDArray[np.floating]
Random = np.random.Generator

Judge = Callable[[Examples, Indices], Floats]
"""From faces, and the first one that each is made of, (N,), to distributions, float32 (N, 101)."""

GAPS = (6.0, 15.0, 40.0)
"""Years between the ages of two faces, at most; one of these for each pair."""

TRIES = 10
"""Faces that are drawn for each pair, at most: a few have no other near them."""

IN_AREAS = 0.7
"""Share of the faces in which the other shows through in areas; the rest is blended evenly."""

COMPOSING = "putting faces together"


def compose(
    own: Examples,
    chosen: Indices,
    judge: Judge,
    folder: Path,
    *,
    keys: NDArray[np.str_],
    seed: int,
    progress: Progress = silent,
) -> None:
    """Put the pairs of these examples together, (N, 2), and write them with what `judge` says, all or none.

    keys: SHA-256 of the picture of each example. Raises ConfigurationError where the disk refuses.
    """
    with staged(folder) as draft:
        _write(draft / CROPS, own, chosen, seed, progress)
        crops = np.load(draft / CROPS, mmap_mode="r")
        unknown = np.zeros(len(chosen), np.float32)
        made = Examples(crops, np.arange(len(chosen)), unknown, unknown)
        np.save(draft / KEYS, keys[chosen])
        np.save(draft / PROBS, judge(made, chosen[:, 0]).astype(np.float32))


def _write(path: Path, own: Examples, chosen: Indices, seed: int, progress: Progress) -> None:
    """Write the faces of all pairs as one array, (N, S, S, 3), one by one, as they fill gigabytes."""
    kind = np.lib.format.dtype_to_descr(np.dtype(np.uint8))
    header = {"descr": kind, "fortran_order": False, "shape": (len(chosen), *own.crop(0).shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for row, (one, other) in enumerate(chosen.tolist()):
            random = np.random.default_rng([seed, 3, row])
            file.write(composite(own.crop(one), own.crop(other), random).tobytes())
            progress(COMPOSING, row + 1, len(chosen))


def pairs(
    ages: Years, fold: Indices, groups: Indices, *, weights: Years, count: int, random: Random
) -> Indices:
    """`count` pairs of faces of one fold, (count, 2), of different people and about the same age.

    ages: (N,) years. fold: (N,). groups: (N,), equal for copies. weights: (N,), how often each is the first.
    count: at least 1. Raises ConfigurationError where hardly any face has another.
    """
    found: list[tuple[int, int]] = []
    chances = weights / weights.sum()
    for _ in range(TRIES * count):
        one = int(random.choice(len(ages), p=chances))
        near = (np.abs(ages - ages[one]) <= random.choice(GAPS)) & (fold == fold[one])
        others = np.flatnonzero(near & (groups != groups[one]))
        if len(others):
            found.append((one, int(random.choice(others))))
        if len(found) == count:
            return np.array(found, np.intp).reshape(-1, 2)
    raise ConfigurationError(
        f"composites.count = {count}: too few of the {len(ages)} faces have another of about their age; "
        "allowed: 0, or more faces"
    )


def composite(one: Image, other: Image, random: Random) -> Image:
    """One face, uint8 (S, S, 3) RGB, through which another shows, in areas or evenly, as a new picture."""
    if random.random() < 0.5:
        other = other[:, ::-1]
    lit = _relit(other, one, float(random.uniform()))
    share = _areas(len(one), random) if random.random() < IN_AREAS else np.float32(random.uniform(0.35, 0.65))
    return np.asarray(np.clip(np.rint(one * share + lit * (1 - share)), 0, 255), np.uint8)


def _areas(side: int, random: Random) -> NDArray[np.float32]:
    """Smooth random areas, float32 (side, side, 1) in 0..1."""
    coarse = int(random.integers(2, 6))
    noise = random.normal(0, 1, (coarse, coarse)).astype(np.float32)
    height = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    height = (height - height.mean()) / max(float(height.std()), 1e-6)
    return np.asarray(1 / (1 + np.exp(-2 * height / random.uniform(0.15, 1.2))), np.float32)[..., None]


def _relit(face: Image, like: Image, share: float) -> NDArray[np.float32]:
    """A face, float32 (S, S, 3), whose colours have so much of the mean and the spread of another's."""
    own, wanted = ((x.mean((0, 1)), x.std((0, 1)) + 1) for x in (face.astype(np.float32), like))
    relit = (face - own[0]) / own[1] * wanted[1] + wanted[0]
    return np.asarray(face * (1 - share) + relit * share, np.float32)
