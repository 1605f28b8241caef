"""The attack on the numbers without ages: what one visit spends, and what averages of all numbers reveal.

    python -m tests.privacy.prove_flow [--sample 0.002] [--stores 200] [--seed 1]

Writes bench/results/privacy-flow.{json,md}; exits with 1 where the gate spends more than it promises, or
where a wrong gate is not found.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.box import ROOT
from bench.provenance import commit, keep, rounded
from bench.tables import table
from tests.privacy.flow.neighbours import (
    SPENDS_MORE,
    Spent,
    every_visit,
    of_random_store,
    spent,
    with_groups,
    worst,
)
from tests.privacy.flow.readers import averaged, bound, guessed, of_worst_visit, ways
from tests.privacy.flow.store import CROSSED_AGES, EVERYTHING, settings

Row = dict[str, Any]
ALL = [(0, settings(*EVERYTHING, *CROSSED_AGES))]


def composed(sample: float, stores: int, seed: int) -> list[Row]:
    """The most that a visit spends: at its worst, in a sample of all visits, in stores that are reloaded."""
    visits = [spent(ALL, *with_groups(one)) for one in every_visit(sample, seed)]
    reloaded = [of_random_store(seed + n) for n in range(stores)]
    return [
        _row("at its worst", [spent(ALL, *with_groups(worst()))]),
        _row("any visit", visits),
        _row("settings that change within the day", reloaded),
    ]


def _row(name: str, found: Sequence[Spent]) -> Row:
    return {
        "visit": name,
        "pairs": len(found),
        "flow": float(max(one.flow for one in found)),
        "flow_epsilon": float(max(one.flow_epsilon for one in found)),
        "ages": float(max(one.ages for one in found)),
        "epsilon": float(max(one.epsilon for one in found)),
        "beyond": sum(not one.is_kept for one in found),
    }


def wrong() -> list[Row]:
    """The same attack on gates that are wrong."""
    rows = []
    for name, gate in SPENDS_MORE.items():
        with gate():
            found = spent(ALL, *with_groups(worst()))
        rows.append(
            {
                "gate": name,
                "flow": float(found.flow),
                "ages": float(found.ages),
                "beyond": int(not found.is_kept),
            }
        )
    return rows


def averages() -> list[Row]:
    """The error of every way to the visits of an hour, and of the best average of all."""
    said = ways()
    rows = [{"number": one.name, "error": one.error} for one in said]
    return [*rows, {"number": f"best average of all {len(said)}", "error": averaged(said)}]


def guesses(seed: int) -> list[Row]:
    """How often a reader who knows all other visits says rightly whether one came."""
    rows = []
    for epsilon in (1, 2, 4):
        draws = of_worst_visit(f"privacy.flow_epsilon={epsilon}")
        best = max(draws, key=lambda draw: abs(draw[0]) * draw[1])
        rng = np.random.default_rng(seed)
        row = {"flow_epsilon": epsilon, "numbers": len(draws), "best_number": guessed([best], rng)}
        rows.append({**row, "all_numbers": guessed(draws, rng), "bound": bound(epsilon)})
    return rows


_COMPOSED = """## What one visit spends

Pairs of stores that differ in one visit (and in five groups, as many as a visit can change), played through
counting and gate. The loss is the logarithm of the largest ratio of the chances of anything published."""

_AVERAGES = """## Averages

One hour of one camera, `flow_epsilon = 4`, windows of 15 minutes, lines, four zones, attention and groups on.
Every visit is in everything once, so each of these numbers, or sum of numbers, says the visits of the hour.
Mean absolute error by the noise, in visits:"""

_GUESSES = """## Guesses about one visit

A reader knows everything but whether one visit came, at even odds, and takes the likelier by all numbers that
the visit touches. Share of right guesses; no gate that keeps its epsilon allows more than the bound."""


def report(rows: dict[str, list[Row]]) -> str:
    """The results for people."""
    parts = (
        "# What the numbers without ages reveal about one visit",
        "Written by `make prove`; the worlds and the wrong gates are in `tests/privacy/flow`.",
        _COMPOSED,
        _table(rows["composed"]),
        "Wrong gates, which the same attack finds:",
        _table(rows["wrong"]),
        _AVERAGES,
        _table(rows["averages"]),
        _GUESSES,
        _table(rows["guesses"]),
    )
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row]) -> str:
    cells = ([f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows)
    return table(list(rows[0]), cells)


def leaks(rows: dict[str, list[Row]]) -> list[str]:
    """What is not as it must be."""
    held = [row["visit"] for row in rows["composed"] if row["beyond"]]
    missed = [row["gate"] for row in rows["wrong"] if not row["beyond"]]
    guessed_more = [f"epsilon {r['flow_epsilon']}" for r in rows["guesses"] if r["all_numbers"] > r["bound"]]
    return [*held, *missed, *guessed_more]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=float, default=0.002, help="share of all visits (default: 0.002)")
    parser.add_argument("--stores", type=int, default=200, help="stores that are reloaded (default: 200)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rows = {
        "composed": composed(args.sample, args.stores, args.seed),
        "wrong": wrong(),
        "averages": averages(),
        "guesses": guesses(args.seed),
    }
    found = leaks(rows)
    whole = rounded({"commit": commit(), "seed": args.seed, **rows, "leaks": found})
    keep(whole, report(rows), ROOT / "bench" / "results" / "privacy-flow")
    print(f"leaks: {found}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
