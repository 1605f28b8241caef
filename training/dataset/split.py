"""Splits pictures into training, validation and test: by content, not by position."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PARTS = ("train", "validation", "test")
HELD_OUT = 0.1
"""Share of the pictures in `test`, and again in `validation`."""

STRATUM = 5.0
"""Years: every part gets its share of each span of this length."""

GOLDEN = 0.618034
"""Its multiples, modulo 1, are spread evenly, so that the roundings of the strata cancel out."""


def split_beside(
    held_out: NDArray[np.bool_],
    keys: Sequence[str],
    groups: NDArray[np.intp],
    ages: NDArray[np.float64],
    seed: int,
) -> NDArray[np.str_]:
    """As `split`, where the authors of a data set hold pictures out, (N,): those and their copies are 'test'.

    Of the others 90 % are for training. Where none or all are held out, the split is that of `split`.
    """
    kept = ~np.isin(groups, groups[held_out])
    if kept.all() or not kept.any():
        return split(keys, groups, ages, seed)
    parts = np.full(len(kept), "test", dtype="U10")
    own = split([key for key, keep in zip(keys, kept, strict=True) if keep], groups[kept], ages[kept], seed)
    parts[kept] = np.where(own == "test", "train", own)
    return parts


def split(
    keys: Sequence[str], groups: NDArray[np.intp], ages: NDArray[np.float64], seed: int
) -> NDArray[np.str_]:
    """The part of each picture, one of `PARTS`, (N,): 80, 10 and 10 % of every span of five years of age.

    keys: SHA-256 of the files. groups: pictures with the same number stay together. The order within a span
    comes from `seed` and the keys alone, so a picture added moves others only where a boundary passes over
    them: at most one group at each of the two boundaries of its span, besides the group it belongs to.
    """
    ranks = np.array([_rank(seed, key) for key in keys])
    order = np.lexsort([ranks, groups])
    first = order[np.r_[True, np.diff(groups[order]) != 0]] if len(order) else order
    strata = (ages[first] // STRATUM).astype(int)
    parts = np.empty(len(first), dtype="U10")
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata == stratum)
        own = own[np.argsort(ranks[first[own]])]
        parts[own] = _parts(len(own), int(stratum))
    by_group = dict(zip(groups[first].tolist(), parts, strict=True))
    return np.array([by_group[group] for group in groups.tolist()], dtype="U10")


def _parts(count: int, stratum: int) -> NDArray[np.str_]:
    """The parts of the groups of one stratum, in the order of their ranks."""
    rounding = (stratum + 1) * GOLDEN % 1
    test = int(count * HELD_OUT + rounding)
    held_out = int(count * 2 * HELD_OUT + rounding)
    return np.repeat(PARTS[::-1], [test, held_out - test, count - held_out])


def _rank(seed: int, key: str) -> float:
    """A pseudo-random number in 0..1, the same for the same seed and key."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
