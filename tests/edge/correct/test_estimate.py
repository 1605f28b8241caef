"""The estimate against exact posteriors, made-up crowds whose truth is known, and what it must not do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.brackets import parse_brackets
from edge.correct import FEWEST, Calibration, Estimate, Observed, estimate, sampler
from edge.correct.mode import COARSE, EVEN, LIKE, mode
from tests.edge.correct.models import BRACKETS, calibration, count, table

TEENS = (0.06, 0.45, 0.24, 0.09, 0.06, 0.05, 0.03, 0.02)
STILL = np.zeros((1, 2))


def shares(found: Estimate) -> NDArray[np.float64]:
    assert found.shares is not None
    return np.array([one.share for one in found.shares.values()])


def variation(a: NDArray[np.float64], b: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.abs(a - b).sum() / 2)


ROWS, COUNTS, SAME = np.array([(0.8, 0.2), (0.3, 0.7)]), (31, 19), np.eye(2)
GRID = (np.arange(100_000) + 0.5) / 100_000


def logs_of(*prior: float) -> NDArray[np.float64]:
    """Two brackets, confusion known: the posterior of the first share is a function of one variable."""
    counted = GRID * ROWS[0, 0] + (1 - GRID) * ROWS[1, 0]
    likelihood = COUNTS[0] * np.log(counted) + COUNTS[1] * np.log(1 - counted)
    return likelihood + (prior[0] - 1) * np.log(GRID) + (prior[-1] - 1) * np.log(1 - GRID)


def test_the_sampler_agrees_with_the_exact_posterior_of_two_brackets() -> None:
    logs = logs_of(sampler.EVEN)
    density = np.exp(logs - logs.max())
    density /= density.sum()
    mean = float(density @ GRID)
    deviation = float(np.sqrt(density @ (GRID - mean) ** 2))
    rng = np.random.default_rng(1)
    chains, sure = np.repeat(ROWS[None], 40, 0), np.full(2, 1e9)
    drawn = sampler.sample(Observed.exact(COUNTS), chains, sure, steps=240, rng=rng)[:, :, 0]
    assert drawn.mean() == pytest.approx(mean, abs=0.01)
    assert drawn.std() == pytest.approx(deviation, abs=0.01)


def test_the_mode_agrees_with_the_exact_posterior_of_two_brackets_whose_counts_are_coarsened() -> None:
    coarse = 1 + sum(COUNTS) / COARSE
    prior = 1 + coarse * (EVEN + LIKE * np.array(COUNTS) / sum(COUNTS))
    exact = GRID[logs_of(*prior).argmax()]
    assert mode(Observed.exact(COUNTS), ROWS, SAME)[0] == pytest.approx(exact, abs=1e-4)


def test_the_prior_keeps_its_part_in_the_share_however_many_visits_there_are() -> None:
    """The counts alone say (0.62 - 0.3) / 0.5 = 0.64, and many visits outweigh a prior of fixed strength."""
    few, many, most = (
        mode(Observed.exact([31 * times, 19 * times]), ROWS, SAME)[0] for times in (1, 100, 10_000)
    )
    assert few < many < 0.637
    assert most == pytest.approx(many, abs=0.001)


def test_finer_cells_bring_the_shares_nearer_to_the_truth() -> None:
    """The same people, counted in eight brackets and in brackets of five years."""
    cells = (*(f"{low}-{low + 4}" for low in range(0, 85, 5)), "85+")
    finer = Calibration.of(BRACKETS, table(6.0), cells)
    coarse, rng = calibration(), np.random.default_rng(6)
    years = Calibration.of(BRACKETS, table(6.0), (*(f"{y}-{y}" for y in range(100)), "100+"))
    rows, errors = years.rows(STILL)[0], []
    for _ in range(12):
        mix = rng.dirichlet(np.ones(8))
        counts = count(rng, mix, 300, rows)
        for model in (coarse, finer):
            counted = mode(Observed.exact(_joined(counts, model.cells)), model.rows(STILL)[0], model.homes)
            errors.append(variation(counted, mix))
    assert np.mean(errors[1::2]) < 0.95 * np.mean(errors[::2])


def _joined(years: NDArray[np.int64], cells: Sequence[str]) -> list[int]:
    lows = [bracket.low for bracket in parse_brackets(cells)]
    return np.add.reduceat(years, lows).tolist()


def test_bounds_are_shares_of_whole_visits_so_that_an_empty_bracket_can_be_in_its_interval() -> None:
    found = estimate(Observed.exact([100, 0, 100]), calibration(3.0, ("0-17", "18-64", "65+")), 1)
    assert found.shares is not None
    ends = np.array([(one.low, one.high) for one in found.shares.values()]) * 200
    assert ends == pytest.approx(ends.round())
    assert found.shares["18-64"].low == 0


def test_a_crowd_of_teenagers_is_nearer_to_the_truth_than_its_counts() -> None:
    model, rng = calibration(), np.random.default_rng(2)
    counts = count(rng, TEENS, 300, model.rows(STILL)[0])
    plain = variation(counts / counts.sum(), TEENS)
    assert variation(shares(estimate(Observed.exact(counts.tolist()), model, 1)), TEENS) < plain / 1.5


def test_intervals_cover_also_where_faces_of_another_origin_seem_older() -> None:
    """Judged 3 years too old throughout; the calibration does not know."""
    model, rng = calibration(), np.random.default_rng(3)
    elsewhere = model.rows(np.array([(1.0, 0.0)]))[0]
    held = total = 0
    for seed in range(8):
        mix = rng.dirichlet(np.ones(8))
        found = estimate(Observed.exact(count(rng, mix, 300, elsewhere).tolist()), model, seed)
        assert found.shares is not None
        held += sum(one.low <= true <= one.high for true, one in zip(mix, found.shares.values(), strict=True))
        total += 8
    assert held / total >= 0.9


def test_a_bracket_that_waits_is_not_taken_for_an_empty_one() -> None:
    """Seven brackets are released, twenty visits each; one waits and may hold up to nine."""
    model, counts = calibration(spread=0.5), [0, 20, 20, 20, 20, 20, 20, 20]
    empty = estimate(Observed.exact(counts), model, 1)
    waits = estimate(Observed.released_with(counts, [1, 0, 0, 0, 0, 0, 0, 0], 10), model, 1)
    assert empty.shares and waits.shares
    assert waits.shares["0-12"].share > empty.shares["0-12"].share + 0.01


def test_noise_widens_the_intervals() -> None:
    model, counts = calibration(spread=0.5), [40] * 8
    few = estimate(Observed.with_noise(counts, 0.5), model, 1)
    much = estimate(Observed.with_noise(counts, 200.0), model, 1)
    assert few.shares and much.shares
    widths = [[one.high - one.low for one in found.shares.values()] for found in (few, much)]
    assert sum(widths[1]) > 1.25 * sum(widths[0])


def test_the_same_counts_give_the_same_shares_and_other_seeds_nearly_the_same_intervals() -> None:
    model, seen = calibration(), Observed.released_with([30, 40, 50, 60, 50, 40, 30, 5], [1] * 8, 5)
    first = estimate(seen, model, 7)
    assert estimate(seen, model, 7) == first
    again = estimate(seen, model, 8)
    assert shares(again).tolist() == shares(first).tolist()
    assert first.shares and again.shares
    for one, other in zip(first.shares.values(), again.shares.values(), strict=True):
        assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=0.05)
    assert shares(first).sum() == pytest.approx(1)


@pytest.mark.parametrize("counts", [[FEWEST - 1, 0], [-40, 20], [0, 0]])
def test_few_visits_give_a_reason_in_place_of_shares(counts: list[int]) -> None:
    found = estimate(Observed.exact(counts), calibration(brackets=("0-34", "35+")), 1)
    assert found.shares is None
    assert found.reason == f"fewer than {FEWEST} visits with a bracket are released"
    assert found.visits == max(sum(counts), 0)


def test_a_model_without_a_confusion_gives_a_reason() -> None:
    unknown = Calibration.of(BRACKETS, np.zeros((101, 101), np.int64))
    assert estimate(Observed.exact([50] * 8), unknown, 1).reason == "the model bundle has no confusion"


@pytest.mark.parametrize("counts", [[300, 0, 0], [0, 0, 300], [100, 0, 200]])
def test_extreme_counts_give_finite_shares(counts: list[int]) -> None:
    found = estimate(Observed.exact(counts), calibration(0.5, ("0-17", "18-64", "65+")), 1)
    assert found.shares is not None
    assert all(0 <= one.low <= one.share <= one.high <= 1 for one in found.shares.values())
