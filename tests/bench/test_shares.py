"""Crowds pass the whole gate, and the shares in `today` are held against what they are known to be."""

from __future__ import annotations

import numpy as np
import pytest

from bench.shares import Direct, Faces, Store, cells_of, markdown, measure
from edge.brackets import DEFAULT_BRACKETS
from edge.bundle import BUILTIN, Bundle, load_bundle, load_confusion
from edge.correct import Calibration
from edge.correct.calibration import places


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(BUILTIN)


@pytest.fixture(scope="module")
def faces(bundle: Bundle) -> Faces:
    """Those of the bundle's own confusion."""
    true, estimated = np.nonzero(confusion := load_confusion(bundle))
    times = confusion[true, estimated]
    return Faces(np.repeat(places(DEFAULT_BRACKETS, true), times), np.repeat(estimated, times))


@pytest.mark.parametrize(
    ("step", "privacy"),
    [(None, ()), (5, ("privacy.minimum=1",)), (5, ("privacy.method=noise", "privacy.epsilon=20"))],
)
def test_shares_of_known_crowds_are_read_from_the_message_at_closing_time(
    bundle: Bundle, faces: Faces, step: int | None, privacy: tuple[str, ...]
) -> None:
    store = Store(bundle, cells_of(step), privacy)
    rows = {one.kind: one for one in measure(faces, store, 300, 1, np.random.default_rng(1))}
    assert list(rows) == ["any mix", "supermarket", "toy shop", "teenagers"]
    assert rows["teenagers"].corrected < rows["teenagers"].counted
    assert all(one.corrected < 0.25 and one.covered >= 0.75 and one.width > 0 for one in rows.values())
    assert f"| teenagers | {rows['teenagers'].counted:.3f} |" in markdown([*rows.values()])


@pytest.mark.parametrize("epsilon", [None, 20.0])
def test_without_the_gate_the_shares_are_about_as_near(
    bundle: Bundle, faces: Faces, epsilon: float | None
) -> None:
    direct = Direct(Calibration.of(DEFAULT_BRACKETS, load_confusion(bundle), cells_of(5)), epsilon)
    (any_mix, *_) = measure(faces, direct, 300, 12, np.random.default_rng(2))
    assert any_mix.corrected < 0.7 * any_mix.counted


def test_a_crowd_that_is_too_small_for_an_estimate_is_left_out(bundle: Bundle, faces: Faces) -> None:
    rows = list(measure(faces, Store(bundle, DEFAULT_BRACKETS, ()), 20, 1, np.random.default_rng(1)))
    assert all(np.isnan(one.corrected) for one in rows)


def test_brackets_of_some_years_begin_at_0_and_end_openly() -> None:
    assert cells_of(None) == DEFAULT_BRACKETS
    assert cells_of(30) == ("0-29", "30-59", "60-89", "90+")
    assert cells_of(1)[:2] == ("0-0", "1-1")
