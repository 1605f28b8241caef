"""Measure corrected shares: crowds of known mixes pass a day of the gate, and `today` is read at its close.

    .venv/bin/python -m bench.shares [DATA ...] [--split test] [--people 300] [--step YEARS]
        [--method noise --epsilon 1] [--direct] [--crowds 90] [--seed 0] [--bundle builtin] [--cache DIR]

The faces of a part are classified as on a box. A crowd is drawn from them, with replacement, for a mix of the
default brackets; each person comes at a random moment of twelve open hours. The visits are counted in the
default brackets, or with `--step` in brackets of so many years, and the shares are those of the default ones.
A row gives the mean total variation from the true shares, of what the model said of everybody (counted) and
of the message (corrected); and how many of the true shares its intervals hold, and how wide they are.

A day of the gate takes a second. `--direct` leaves out the gate and the intervals, for many crowds: each cell
keeps back any number below the minimum, as at any moment of a day, or has the noise of its twelve hours.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.tables import table
from edge.brackets import DEFAULT_BRACKETS
from edge.bundle import Bundle, bundle_folder, load_bundle, load_confusion
from edge.config import load_settings
from edge.correct import LEVEL, METHOD, Calibration, Observed
from edge.correct.calibration import places
from edge.correct.mode import mode
from edge.delivery.topics import Topics
from edge.quantities import AGES
from edge.release.books.day import Day
from edge.release.correction import Correction
from edge.release.gate import Gate, MemoryStore
from edge.release.messages import CalibrationOf, Corrected, Figures, Model
from edge.release.noise.ledger import Level, age_shares
from edge.release.noise.sampler import discrete_laplace, variance
from edge.release.rule import Rule, exact
from edge.types import Coverage, WindowCounts, ZoneCounts
from training.evaluation.part import Split, open_part
from training.evaluation.scores import expected_ages
from training.evaluation.shares import ANY, STORES, variation
from training.predict import run_calibrated

DATA = Path(__file__).parents[2] / "shared" / "data"

OPENS = datetime(2026, 1, 31, 8, tzinfo=UTC)
WINDOW = timedelta(minutes=15)
HOURS = 12
"""From `OPENS` on."""

WINDOWS = 4 * HOURS

OLDEST_CELL = 90
"""Years: the last bracket of `--step` begins here or just below."""

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces of a part, (N,) each: the place of the true default bracket, and the estimated year of age."""

    true: Places
    years: NDArray[np.int64]

    @classmethod
    def of(cls, bundle: Bundle, data: Sequence[Path], split: Split | None, cache: Path) -> Faces:
        """The faces of a part of labelled data (see `open_part`), as a box sees them."""
        part = open_part(data, bundle, split, cache)
        ages = expected_ages(run_calibrated(bundle, part.crops).probs)
        years = np.floor(ages + 0.5).astype(np.int64)
        return cls(places(DEFAULT_BRACKETS, np.floor(part.truth.low).astype(np.int64)), years)

    def crowd(self, mix: Floats, people: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
        """The true shares, (B,), and the estimated years, (people,), of a crowd. Brackets without faces stay
        empty.
        """
        mix = mix * (np.bincount(self.true, minlength=len(mix)) > 0)
        brackets = rng.multinomial(people, mix / mix.sum())
        drawn = [rng.choice(np.flatnonzero(self.true == place), n) for place, n in enumerate(brackets) if n]
        return brackets / people, self.years[np.concatenate(drawn)]


@dataclass(frozen=True, slots=True)
class Row:
    """The mean figures of the crowds of one kind."""

    kind: str
    counted: float
    corrected: float
    covered: float
    width: float


class AtClosing(Correction):
    """Estimates once the day is over, and not at every release before."""

    def of(self, total: Figures, days: Sequence[Sequence[Day]], rule: Rule) -> Corrected:
        if days[0][0].until >= OPENS + WINDOWS * WINDOW:
            return super().of(total, days, rule)
        nobody = CalibrationOf(name="-", version="-", faces=0)
        return Corrected(
            method=METHOD, level=LEVEL, calibration=nobody, visits=0, shares=None, reason="not yet"
        )


class Store:
    """A day of a store with one camera. overrides: of the configuration, as `KEY=VALUE`."""

    def __init__(self, bundle: Bundle, cells: Sequence[str], overrides: Sequence[str]) -> None:
        tables = {
            "site": "store",
            "cameras": [{"name": "door", "source": "0"}],
            "windows": {
                "length": WINDOW.seconds,
                "brackets": list(cells),
                "share_brackets": list(DEFAULT_BRACKETS),
            },
        }
        self._rule = Rule.of(
            load_settings(None, list(overrides), tables), Model(name=bundle.name, version=bundle.version)
        )
        self._correction = AtClosing(self._rule.model, load_confusion(bundle))
        self._cells = tuple(cells)

    def shares(self, years: NDArray[np.int64], rng: np.random.Generator) -> Floats | None:
        """Share, low and high of each bracket, (B, 3), at closing time; None: there is no estimate."""
        store, topics = MemoryStore(), Topics("instore", "store", "box")
        draw = random.Random(int(rng.integers(1 << 32))).randrange
        gate = Gate(store, self._rule, topics, draw, correction=self._correction)
        for window in self._windows(places(self._cells, years), rng):
            gate.put(window)
        found = json.loads(store.retained[topics.today("door", "all")])["corrected"]["shares"]
        return found and np.array([(one["share"], one["low"], one["high"]) for one in found.values()])

    def _windows(self, cells: Places, rng: np.random.Generator) -> Iterator[WindowCounts]:
        came = rng.integers(WINDOWS, size=len(cells))
        for number in range(WINDOWS):
            counts = np.bincount(cells[came == number], minlength=len(self._cells)).tolist()
            start = OPENS + number * WINDOW
            yield WindowCounts(
                site="store",
                camera_id="door",
                start=start,
                end=start + WINDOW,
                zones={"all": ZoneCounts(dict(zip(self._cells, counts, strict=True)))},
                coverage=Coverage(seconds=900.0, analysed=9000),
            )


@dataclass(frozen=True, slots=True)
class Direct:
    """As `Store`, of the share alone and without a gate. epsilon: of a visit; None: the threshold."""

    calibration: Calibration
    epsilon: float | None
    minimum: int = 5

    def shares(self, years: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """The share of each bracket, three times over, (B, 3)."""
        cells = self.calibration.cells
        counts = np.bincount(places(cells, years), minlength=len(cells))
        rows = self.calibration.rows(np.zeros((1, 2)))[0]
        found = mode(self._observed(counts, rng), rows, self.calibration.homes)
        return np.repeat(found[:, None], 3, axis=1)

    def _observed(self, counts: NDArray[np.int64], rng: np.random.Generator) -> Observed:
        if self.epsilon is None:
            waits = rng.integers(0, np.minimum(counts, self.minimum - 1), endpoint=True)
            return Observed.released_with((counts - waits).tolist(), [1] * len(counts), self.minimum)
        own = age_shares(exact(self.epsilon))[Level.HOUR, AGES]
        below = random.Random(int(rng.integers(1 << 32))).randrange
        noise = [[discrete_laplace(own, below) for _ in counts] for _ in range(HOURS)]
        return Observed.with_noise((counts + np.sum(noise, axis=0)).tolist(), HOURS * variance(own))


def measure(
    faces: Faces, store: Store | Direct, people: int, crowds: int, rng: np.random.Generator
) -> Iterator[Row]:
    """A row for any mix, and one for each store of a third as many crowds."""
    any_mix = [rng.dirichlet(np.ones(len(DEFAULT_BRACKETS))) for _ in range(crowds)]
    stores = {name: [np.array(mix)] * -(-crowds // 3) for name, mix in STORES.items()}
    for kind, mixes in {ANY: any_mix, **stores}.items():
        judged = [one for mix in mixes if (one := _judge(faces, store, mix, people, rng))]
        yield Row(kind, *map(float, np.mean(judged, axis=0) if judged else [np.nan] * 4))


def _judge(
    faces: Faces, store: Store | Direct, mix: Floats, people: int, rng: np.random.Generator
) -> tuple[float, ...] | None:
    true, years = faces.crowd(mix, people, rng)
    counted = np.bincount(places(DEFAULT_BRACKETS, years), minlength=len(true)) / people
    if (found := store.shares(years, rng)) is None:
        return None
    share, low, high = found.T
    held = (low - 0.0005 <= true) & (true <= high + 0.0005)  # messages round to three decimals
    return variation(counted, true), variation(share, true), held.mean(), (high - low).mean()


def cells_of(step: int | None) -> tuple[str, ...]:
    """Brackets of `step` years, the last one open; None: the default ones."""
    if step is None:
        return DEFAULT_BRACKETS
    lows = range(0, OLDEST_CELL + 1, step)
    closed = [f"{low}-{low + step - 1}" for low in lows[:-1]]
    return (*closed, f"{lows[-1]}+")


def markdown(rows: Sequence[Row]) -> str:
    """A row for each kind of crowd."""
    return table(
        ("crowd", "counted", "corrected", "covered", "width"),
        [(one.kind, f"{one.counted:.3f}", f"{one.corrected:.3f}", *_interval(one)) for one in rows],
    )


def _interval(row: Row) -> tuple[str, str]:
    return (f"{row.covered:.1%}", f"{row.width:.3f}") if row.width else ("", "")


def _store(bundle: Bundle, args: argparse.Namespace) -> Store | Direct:
    cells = cells_of(args.step)
    if args.direct:
        epsilon = args.epsilon if args.method == "noise" else None
        return Direct(Calibration.of(DEFAULT_BRACKETS, load_confusion(bundle), cells), epsilon)
    return Store(bundle, cells, (f"privacy.method={args.method}", f"privacy.epsilon={args.epsilon}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*", default=[DATA / "faces" / "faces", DATA / "aaf"])
    parser.add_argument("--split", choices=("validation", "test", "all"))
    parser.add_argument("--bundle", default="builtin")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--step", type=int, help="years of a bracket; without it the default brackets")
    parser.add_argument("--method", choices=("threshold", "noise"), default="threshold")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--direct", action="store_true", help="without the gate and without intervals")
    parser.add_argument("--crowds", type=int, default=90)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    bundle = load_bundle(bundle_folder(args.bundle, Path()))
    faces = Faces.of(bundle, args.data, args.split, args.cache)
    rng = np.random.default_rng(args.seed)
    print(markdown(list(measure(faces, _store(bundle, args), args.people, args.crowds, rng))))


if __name__ == "__main__":
    main()
