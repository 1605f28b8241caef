"""Compare two bundles on the same faces; is the difference more than noise?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.brackets import Bracket
from edge.bundle import Bundle
from edge.errors import ConfigurationError
from edge.ops.terminal import Progress, silent
from training.dataset import survey_all
from training.evaluation.bootstrap import Interval, interval, resamples
from training.evaluation.calibration import calibration_error, reliability
from training.evaluation.crowds import histogram_error
from training.evaluation.evaluate import Figures, Options, chosen_brackets, reporting, rounded
from training.evaluation.part import Part, Split, cut_part
from training.evaluation.scores import Judged, judge, summary
from training.predict import run_calibrated

LESS_IS_BETTER = {
    "mae": True,
    "median_ae": True,
    "cs5": False,
    "accuracy": False,
    "within_one": False,
    "ece": True,
    "histogram_tv": True,
}
"""The figures compared."""

COVERAGE = 1 - 0.05 / len(LESS_IS_BETTER)
"""Coverage of each interval, so that all hold together in 95 of 100 comparisons (Bonferroni)."""

DRAWS = 2000
"""Bootstrap draws; wide intervals need many."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both bundles; interval: of b - a, by bootstrap over the faces. better: 'a', 'b' or ''."""

    figure: str
    a: float
    b: float
    interval: Interval
    better: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both bundles on the same n faces; `changed`: as in `Part`, of either."""

    a: Bundle
    b: Bundle
    source: str
    split: Split
    n: int
    rows: Sequence[Row]
    changed: bool = False

    @property
    def verdict(self) -> str:
        """A sentence that says which bundle is better by more than noise."""
        names = {"a": _named(self.a), "b": _named(self.b)}
        if names["a"] == names["b"]:
            names = {side: f"{name} ({side.upper()})" for side, name in names.items()}
        won = {side: [row.figure for row in self.rows if row.better == side] for side in names}
        if not won["a"] and not won["b"]:
            return f"No difference beyond noise on these {self.n:,} faces."
        if side := next((side for side in names if len(won[side]) == len(self.rows)), None):
            return f"{names[side]} is better in every figure, by more than noise."
        parts = [f"{names[side]} is better in {', '.join(won[side])}" for side in names if won[side]]
        rest = " The rest may be chance." if len(won["a"]) + len(won["b"]) < len(self.rows) else ""
        return f"{'; '.join(parts)}: by more than noise.{rest}"

    def as_json(self) -> Figures:
        """The comparison as JSON values."""
        return {
            "a": _identity(self.a),
            "b": _identity(self.b),
            "data": {"source": self.source, "split": self.split},
            "n": self.n,
            "figures": {
                row.figure: {
                    "a": row.a,
                    "b": row.b,
                    "difference": rounded(row.b - row.a),
                    "interval": row.interval,
                    "better": row.better or None,
                }
                for row in self.rows
            },
            "verdict": self.verdict,
        }


def compare(
    a: Bundle,
    b: Bundle,
    data: Sequence[Path],
    *,
    split: Split | None,
    cache: Path,
    options: Options | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Compare two bundles on the faces of `data` that neither was trained on, unless `split` says otherwise.

    Each gets the faces cropped for its own input. Raises ConfigurationError where no face is left.
    """
    options = options or Options()
    found = survey_all(data, cache, progress)
    part_a, part_b = _shared(
        cut_part(found, a, split, cache, progress), cut_part(found, b, split, cache, progress)
    )
    brackets = chosen_brackets(part_a, options)
    judged_a = _judge(a, part_a, brackets, "A", progress)
    judged_b = _judge(b, part_b, brackets, "B", progress)
    rows = compare_judged(judged_a, judged_b, len(brackets), options.seed, progress=progress)
    shared: Split = part_b.split if part_a.split == "all" else part_a.split
    changed = part_a.changed or part_b.changed
    return Comparison(a, b, part_a.prepared.source, shared, len(part_a), rows, changed)


def compare_judged(
    a: Judged, b: Judged, brackets: int, seed: int, *, progress: Progress = silent, draws: int = DRAWS
) -> list[Row]:
    """Compare two models on the same faces by a paired bootstrap, with the same draws for both.

    A figure is better by more than noise where the interval of the difference excludes 0.
    """
    differences = []
    for done, index in enumerate(resamples(len(a), seed, draws), start=1):
        differences.append(
            _values(b.select(index), brackets, seed + done) - _values(a.select(index), brackets, seed + done)
        )
        progress("bootstrap", done, draws)
    columns = zip(LESS_IS_BETTER, np.array(differences).T, strict=True)
    values = zip(_values(a, brackets, seed).tolist(), _values(b, brackets, seed).tolist(), strict=True)
    return [
        _row(figure, *pair, interval(column, COVERAGE))
        for (figure, column), pair in zip(columns, values, strict=True)
    ]


def _row(figure: str, a: float, b: float, difference: Interval) -> Row:
    low, high = difference
    better = ""
    if low > 0 or high < 0:
        better = "b" if (high < 0) == LESS_IS_BETTER[figure] else "a"
    return Row(figure, rounded(a), rounded(b), (rounded(low), rounded(high)), better)


def _values(judged: Judged, brackets: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The figures compared, in order. The crowds of both models come from the same seed."""
    figures = {
        **summary(judged),
        "ece": calibration_error(reliability(judged)),
        "histogram_tv": histogram_error(judged, brackets, seed),
    }
    return np.array([figures[name] for name in LESS_IS_BETTER], np.float64)


def _shared(a: Part, b: Part) -> tuple[Part, Part]:
    """The faces that are in both parts, in the same order."""
    keys = np.intersect1d(a.keys, b.keys)
    if not len(keys):
        raise ConfigurationError(
            f"{a.prepared.source}: no face is left that neither bundle was trained on; give other data"
        )
    return a.having(keys), b.having(keys)


def _judge(bundle: Bundle, part: Part, brackets: Sequence[Bracket], side: str, progress: Progress) -> Judged:
    found = run_calibrated(bundle, reporting(f"bundle {side}", part, progress))
    return judge(found.probs, part.truth, brackets)


def _named(bundle: Bundle) -> str:
    return f"{bundle.name} {bundle.version}"


def _identity(bundle: Bundle) -> Figures:
    return {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256}
