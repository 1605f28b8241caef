"""The boxes of a face network put together: as a plain weighted mean of each group."""

from __future__ import annotations

import numpy as np
import pytest

from edge.vision.detect.boxes import Answer, _mean
from edge.vision.detect.letterbox import letterbox_for
from edge.vision.detect.networks import Anchors


def test_the_mean_of_a_group_is_numpys_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for number in range(1, 120):
        points = rng.uniform(0, 1, (number, 8, 2)).astype(np.float32)
        weights = rng.uniform(0.05, 1, number).astype(np.float32)
        expected = np.average(points, axis=0, weights=weights)
        np.testing.assert_array_equal(_mean(points, weights), expected, strict=True)


@pytest.mark.parametrize("min_score", [0.0, 0.0005, 0.05, 0.5, 0.9995, 1.0])
def test_a_box_is_likely_from_its_score_on(min_score: float) -> None:
    logits = np.linspace(-9, 30, 400, dtype=np.float32)
    expected = 1 / (1 + np.exp(-logits))
    middles = np.linspace(0, 4, 800, dtype=np.float32).reshape(-1, 2)
    anchors = Anchors(middles, (400, 16, 1), np.arange(400), np.zeros(400, np.intp))
    raw = np.full((400, 16), 0.01, np.float32)
    answer = Answer(raw, logits, anchors, min_score, letterbox_for(192, 192, 192))
    np.testing.assert_array_equal(answer.faces().score, np.sort(expected[expected >= min_score])[::-1])
