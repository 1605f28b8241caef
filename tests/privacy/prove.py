"""The whole attack: every small world, 200 days by adversaries A and B, the wrong gates, and the figures.

    python -m tests.privacy.prove [--runs 100] [--seed 1]

Writes bench/results/privacy.{json,md}; exits with 1 where the gate leaks or a wrong gate is not broken.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.box import ROOT
from bench.provenance import commit, keep, rounded
from edge.release.noise.ledger import AGE_LEVELS, Level
from tests.privacy.averaging import broken_by_averages
from tests.privacy.bounds import Attack, each_visit, everyday_sums, model, told_totals
from tests.privacy.cases import LONG, QUICK, WRONG, Case
from tests.privacy.days import WINDOWS, Run, runs
from tests.privacy.figures import figures, noise_error

Row = dict[str, Any]


def enumerated(cases: Sequence[Case]) -> list[Row]:
    """The findings of each case."""
    rows = []
    for case in cases:
        found = case.attack()
        print(f"{case.name}: {found}", flush=True)  # noqa: T201 - it takes minutes
        row = {"worlds": found.worlds, "publications": found.publications, "beyond": found.beyond}
        rows.append({"case": case.name, **row, "small": found.small, "zero": found.zero})
    return rows


def adversary_a(run: Run, rng: np.random.Generator) -> tuple[int, int]:
    """How many everyday sums were tried, and how many below the smallest minimum are determined."""
    known = model(run, by_window=False)
    attack = Attack(known, rng)
    assert attack.truth_fits()
    sums = everyday_sums(known, WINDOWS)
    value = sums @ np.array(known.truth)
    minimum = min([run.scenario.minimum, *(minimum for _, minimum in run.scenario.reshapes.values())])
    return sums.shape[0], int((attack.determined(sums) & (value < minimum)).sum())


def adversary_b(run: Run, rng: np.random.Generator) -> tuple[int, int]:
    """Visits, and those whose cell is determined for one who knows the visits of each window."""
    known = model(run, by_window=True)
    told_totals(known)
    attack = Attack(known, rng)
    assert attack.truth_fits()
    visits = each_visit(known)
    value = visits @ np.array(known.truth)
    return int(value.sum()), int(value[attack.determined(visits)].sum())


def days(number: int, known_totals: int, seed: int) -> list[Row]:
    """By scenario what A and B determine; B, who takes longer, on the first `known_totals` runs."""
    rng = np.random.default_rng(seed)
    rows: dict[str, Row] = defaultdict(lambda: dict.fromkeys(("days", "sums", "a", "visits", "b"), 0))
    for i, run in enumerate(runs(number, 2, seed)):
        row = rows[run.scenario.name]
        sums, a = adversary_a(run, rng)
        visits, b = adversary_b(run, rng) if i < known_totals else (0, 0)
        for key, value in zip(row, (2, sums, a, visits, b), strict=True):
            row[key] += value
        print(i, run.scenario.name, row, flush=True)  # noqa: T201 - it takes minutes
    return [{"scenario": name, **row} for name, row in rows.items()]


_WORLDS = """## Every small world

A publication is *beyond* the theorem where a reader can work out more than unions of released sets.
*Small*, *zero*: share of the worlds in which some set of 1 to m - 1 visits, or of none, is certain (not
looked for in the cases of two groups, where *beyond* is all that is counted)."""

_DAYS = """## Days

Runs of two days, all that is published taken together. A: of the sums tried, those below the minimum that
are certain. B knows the true number of visits of each window: visits whose cell is certain, of those in its
runs."""

_FIGURES = """## What is published

Minimum 5, windows of 5 minutes, released every half hour; 8 brackets and the unclassified with shares of 6,
5, 12, 20, 17, 14, 11, 9 and 6 %, an assumption; equal traffic all day and in all zones. `next_day`: those of
`bracket` that are released on a later day than that of the visit. The delay runs from the end of a visit's
window to its release, nights included. `noise_E_hour`: the mean absolute error of a bracket's count at
epsilon E, as a share of its mean."""


def report(rows: Mapping[str, list[Row]], averages: Mapping[str, float]) -> str:
    """The results for people."""
    parts = (
        "# What a reader of everything published can work out",
        "Written by `make prove`; `edge/release/carry_over.py` is the gate and states the theorem.",
        _WORLDS,
        _table(rows["gate"]),
        "## Wrong gates\n\nThe same attack breaks each of them.",
        _table(rows["wrong"]),
        "Noise drawn again after each of 1,000 restarts: the mean, rounded, is the true number in "
        f"{averages['again']:.0%} of the trials; drawn once, in {averages['once']:.0%}.",
        _DAYS,
        _table(rows["days"]),
        _FIGURES,
        _table(rows["figures"]),
        _noise_note(),
    )
    return "\n\n".join(parts) + "\n"


def _noise_note() -> str:
    errors = [
        f"epsilon {epsilon}: {noise_error(epsilon * AGE_LEVELS[Level.HOUR]):.1f} visits by hour, "
        f"{noise_error(epsilon * AGE_LEVELS[Level.DAY]):.1f} by day"
        for epsilon in (1, 2)
    ]
    return f"The mean absolute error of a bracket with noise: {'; '.join(errors)}, whatever the traffic."


def _table(rows: Sequence[Row]) -> str:
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([_cell(row[head]) for head in heads] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def leaks(rows: Mapping[str, list[Row]], averages: Mapping[str, float]) -> list[str]:
    """What is not as it must be."""
    held = [row["case"] for row in rows["gate"] if row["beyond"]]
    broken = [row["case"] for row in rows["wrong"] if not row["small"] + row["zero"]]
    certain = [row["scenario"] for row in rows["days"] if row["a"]]
    return [*held, *broken, *certain, *(["noise drawn again"] if averages["again"] < 0.95 else [])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100, help="runs of two days (default: 100)")
    parser.add_argument("--known-totals", type=int, default=33, help="runs for adversary B (default: 33)")
    parser.add_argument("--figure-days", type=int, default=60, help="days behind each figure (default: 60)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rows = {
        "gate": enumerated((*QUICK, *LONG)),
        "wrong": enumerated(WRONG),
        "figures": [dict(row) for row in figures(args.figure_days, args.seed)],
        "days": days(args.runs, args.known_totals, args.seed),
    }
    averages = broken_by_averages(args.seed)
    found = leaks(rows, averages)
    whole = rounded({"commit": commit(), "seed": args.seed, **rows, "averages": averages, "leaks": found})
    keep(whole, report(rows, averages), ROOT / "bench" / "results" / "privacy")
    print(f"leaks: {found}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
