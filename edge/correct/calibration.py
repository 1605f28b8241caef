"""How people of each bracket are counted: the rows of a confusion matrix, and how far they may be off.

A bundle's confusion was measured on faces of one origin. On faces of another origin the same model errs by
some years more in one direction, so a row of another origin is no random draw round the measured one: it is
the measured one moved. Two uncertainties are therefore kept apart:

    moved       the estimated years are moved by `a + b * (age - 35)`, with a and b of standard deviations
                `SHIFT` and `TILT`: the systematic error of another origin
    scattered   each row is a Dirichlet draw round its moved self, with the weight of `ROW_WEIGHT` faces

The three constants were chosen on the validation part of UTKFace and on the training part of All-Age-Faces,
which the shipped model had not seen (docs/measures.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from edge.brackets import OLDEST, parse_brackets
from edge.types import AGES, require_array

Floats = NDArray[np.float64]

SHIFT = 3.0
"""Years: standard deviation of the systematic error of an estimated age at `PIVOT`."""

TILT = 0.1
"""Years a year: standard deviation by which that error grows with the distance of the age from `PIVOT`."""

PIVOT = 35
"""Years."""

ROW_WEIGHT = 100.0
"""Faces that a row of the confusion weighs at most, however many it was measured on."""

_EVERYBODY = 0.1
"""Faces that each year of age borrows from the errors of all ages, so that no row is empty."""

_NARROW = 0.1
"""Years: a kernel of less leaves a year where it is."""

_YEARS = np.arange(AGES)


@dataclass(frozen=True, eq=False)
class Calibration:
    """The validation faces of a model, the brackets of the shares and the cells that people are counted in.

    brackets: B of them. cells: brackets as well, C of them, often the same; finer ones tell more.
    faces: float (101, 101), counts of validation faces; rows are true years of age, columns estimated ones.
    """

    brackets: tuple[str, ...]
    cells: tuple[str, ...]
    faces: Floats

    @classmethod
    def of(
        cls, brackets: Sequence[str], table: NDArray[np.int64], cells: Sequence[str] | None = None
    ) -> Calibration:
        """The calibration by a bundle's confusion (`edge.bundle.load_confusion`), int (101, 101).

        cells: None: the brackets.
        """
        require_array("confusion", table, (AGES, AGES), np.int64)
        return cls(tuple(brackets), tuple(brackets if cells is None else cells), table.astype(np.float64))

    @property
    def is_empty(self) -> bool:
        """Whether there are no validation faces."""
        return not self.faces.any()

    @property
    def weights(self) -> Floats:
        """By bracket, (B,), the faces that its row weighs."""
        return np.minimum(np.maximum(self._found(), 1.0), ROW_WEIGHT)

    @cached_property
    def homes(self) -> Floats:
        """Of each cell, (C, B), the part of its years that lies in each bracket; each row sums to 1."""
        years = np.arange(OLDEST + 1)
        parts = np.zeros((len(self.cells), len(self.brackets)))
        np.add.at(parts, (places(self.cells, years), places(self.brackets, years)), 1.0)
        return np.asarray(parts / parts.sum(axis=1, keepdims=True), np.float64)

    def rows(self, moves: Floats) -> Floats:
        """The confusion, (K, B, C), under each of K moves: (K, 2), in standard deviations of a and b.

        Row i holds the probabilities of the estimated cells of a person of bracket i; it sums to 1.
        """
        below = np.pad(np.cumsum(self._smooth, axis=1), ((0, 0), (1, 0)))
        moved = np.asarray(moves)[:, :1] * SHIFT + np.asarray(moves)[:, 1:] * TILT * (_YEARS - PIVOT)
        lows = _lows(self.cells)
        parts = np.array([np.diff(_at(below, lows, move), axis=1) for move in moved]).clip(min=0.0)
        rows = np.zeros((len(moved), len(self.brackets), len(lows)))
        for year, place in enumerate(places(self.brackets, _YEARS)):
            rows[:, place] += parts[:, year]
        for place in np.flatnonzero(rows.sum(axis=(0, 2)) == 0):  # a bracket above the years of a model
            rows[:, place] = self.homes[:, place] / self.homes[:, place].sum()
        return np.asarray(rows / rows.sum(axis=2, keepdims=True), np.float64)

    @cached_property
    def _smooth(self) -> Floats:
        """Faces, (101, 101), as counted, with their estimates spread by a normal kernel of each bracket."""
        faces = self.faces + _EVERYBODY * self._errors_of_all()
        found, bracket = self._found(), places(self.brackets, _YEARS)
        for place in range(len(self.brackets)):
            own = bracket == place
            if own.any():
                faces[own] = faces[own] @ _kernel(_bandwidth(self.faces[own], _YEARS[own], found[place]))
        return faces

    def _found(self) -> Floats:
        """The validation faces of each bracket, (B,)."""
        bracket = places(self.brackets, _YEARS)
        found = np.bincount(bracket, self.faces.sum(axis=1), minlength=len(self.brackets))
        return np.asarray(found, np.float64)

    def _errors_of_all(self) -> Floats:
        """Estimated years, (101, 101), as if everybody erred as all validation faces together do."""
        true, estimated = np.nonzero(self.faces)
        counts = self.faces[true, estimated]
        errors = np.bincount(estimated - true + AGES - 1, counts, minlength=2 * AGES - 1)
        spread = np.zeros((AGES, AGES))
        for year in _YEARS:
            landed = np.clip(year + np.arange(1 - AGES, AGES), 0, AGES - 1)
            spread[year] = np.bincount(landed, errors, minlength=AGES)
        return np.asarray(spread / max(errors.sum(), 1.0), np.float64)


def _lows(brackets: Sequence[str]) -> NDArray[np.int64]:
    """The first year of each bracket."""
    return np.array([bracket.low for bracket in parse_brackets(brackets)], np.int64)


def places(brackets: Sequence[str], years: NDArray[np.int64]) -> NDArray[np.intp]:
    """The place among `brackets` of the one that holds each of these ages in years, (Y,); -1 below all."""
    return np.searchsorted(_lows(brackets), years, side="right") - 1


def _bandwidth(faces: Floats, years: NDArray[np.int64], found: float) -> float:
    """Years: the normal reference rule (Silverman 1986, "Density Estimation", 3.28) for the errors of faces,
    (Y, 101), of these Y years of age: 1.06 standard deviations over the fifth root of their number.
    """
    if not found:
        return 0.0
    errors = _YEARS - years[:, None]
    mean = (faces * errors).sum() / found
    deviation = sqrt((faces * (errors - mean) ** 2).sum() / found)
    return float(1.06 * deviation * found**-0.2)


def _kernel(bandwidth: float) -> Floats:
    """What becomes of each estimated year, (101, 101): spread over its neighbours; each row sums to 1."""
    if bandwidth < _NARROW:
        return np.eye(AGES)
    spread = np.exp(-(((_YEARS[:, None] - _YEARS) / bandwidth) ** 2) / 2)
    return np.asarray(spread / spread.sum(axis=1, keepdims=True), np.float64)


def _at(below: Floats, lows: NDArray[np.int64], move: Floats) -> Floats:
    """Faces estimated below each edge of the brackets, (101, B + 1), once each year's estimates moved so.

    below: (101, 102), faces of each year estimated below a year; between two years it grows evenly.
    """
    edges = np.clip(lows[None, 1:] - move[:, None], 0.0, float(AGES))
    whole = np.minimum(edges.astype(np.intp), AGES - 1)
    part = edges - whole
    inner = np.take_along_axis(below, whole, 1) * (1 - part) + np.take_along_axis(below, whole + 1, 1) * part
    return np.concatenate([np.zeros((AGES, 1)), inner, below[:, -1:]], axis=1)
