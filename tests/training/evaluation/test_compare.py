from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.training import bundles
from tests.training.evaluation.people import BRACKETS, noisy
from training.evaluation.compare import LESS_IS_BETTER, Comparison, Row, compare_judged


def rows(a, b, seed: int = 0) -> dict[str, Row]:
    return {row.figure: row for row in compare_judged(a, b, len(BRACKETS), seed, draws=200)}


def test_a_model_that_errs_less_is_better_in_every_figure():
    found = rows(noisy(300, spread=9), noisy(300, spread=2, seed=2))
    assert {name: row.better for name, row in found.items() if name != "ece"} == {
        name: "b" for name in LESS_IS_BETTER if name != "ece"
    }
    assert found["mae"].interval[1] < 0 < found["accuracy"].interval[0]


def test_the_order_of_the_two_changes_the_side_and_nothing_else():
    good, bad = noisy(300, spread=2), noisy(300, spread=9, seed=2)
    assert rows(good, bad)["mae"].better == "a"
    assert rows(bad, good)["mae"].better == "b"
    assert rows(good, bad)["mae"].a == rows(bad, good)["mae"].b


def test_two_of_the_same_kind_do_not_differ_beyond_noise():
    found = rows(noisy(300, spread=6), noisy(300, spread=6, seed=2))
    assert not any(row.better for row in found.values())


def test_a_model_beside_itself_leaves_no_doubt():
    faces = noisy(100, spread=6)
    same = rows(faces, faces)
    assert same["mae"].interval == (0, 0)
    assert same["mae"].better == ""


def test_pairing_sees_what_two_separate_intervals_would_not():
    """Half a year on every face, with errors of eight years that both make alike."""
    base = noisy(200, spread=8)
    slightly_worse = replace(base, offset=base.offset + 0.5 * (base.offset / base.error.clip(1e-9)))
    assert rows(base, slightly_worse)["mae"].better == "a"


def verdict(folder: Path, *found: Row) -> str:
    a = bundles.write(folder / "a", name="old")
    b = bundles.write(folder / "b", name="new")
    return Comparison(a, b, "made up", "all", 200, found).verdict


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (("", ""), "No difference beyond noise on these 200 faces."),
        (("b", "b"), "new 1 is better in every figure, by more than noise."),
        (("", "b"), "new 1 is better in cs5: by more than noise. The rest may be chance."),
        (("b", "a"), "old 1 is better in cs5; new 1 is better in mae: by more than noise."),
    ],
)
def test_the_verdict_names_the_better_one(tmp_path: Path, sides: tuple[str, str], said: str):
    found = [Row(f, 1.0, 2.0, (0.5, 1.5), side) for f, side in zip(("mae", "cs5"), sides, strict=True)]
    assert verdict(tmp_path, *found).startswith(said)
