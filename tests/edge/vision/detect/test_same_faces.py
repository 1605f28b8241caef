"""Faces of another engine are refused where they differ by more than the bounds, and only there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edge.inference.backend import BackendError
from edge.types import Faces
from edge.vision.detect.networks import NETWORKS, Range
from edge.vision.detect.onnx import NetworkDetector, OnnxNetwork
from edge.vision.detect.same_faces import (
    MIN_SCORE,
    MOST_SCORE,
    PICTURES,
    compare,
    difference,
    reference_pictures,
    require_same_faces,
)

RANGES: tuple[Range, ...] = ("far", "near")


class Other(OnnxNetwork):
    """A network whose answers are changed."""

    def __init__(self, range_: Range, change: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(range_)
        self._change = change

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return self._change(super().infer(batch))


@pytest.mark.parametrize("range_", RANGES)
def test_every_drawn_face_is_found(range_: Range):
    pictures = list(reference_pictures(NETWORKS[range_].size))
    assert len(pictures) == PICTURES
    for faces in NetworkDetector(OnnxNetwork(range_), range_, MIN_SCORE).detect_all(pictures):
        assert (faces.score > 0.7).sum() == 2
        assert (faces.score > 0.1).sum() == 2


@pytest.mark.parametrize("range_", RANGES)
def test_the_network_itself_finds_the_same(range_: Range):
    assert require_same_faces("it", OnnxNetwork(range_), range_).is_same
    rounded = Other(range_, lambda found: found * np.float32(1 + 1e-5))
    assert 0 < compare(rounded, OnnxNetwork(range_), range_).score < MOST_SCORE
    require_same_faces("it", rounded, range_)


def with_scores(
    range_: Range, change: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """What changes the logits in the answers of a network."""
    anchors = len(NETWORKS[range_].anchors())
    return lambda found: np.concatenate([found[:, :-anchors], change(found[:, -anchors:])], axis=1)


def test_boxes_are_compared_that_only_a_second_opinion_takes_for_faces():
    def poorer(logits: np.ndarray) -> np.ndarray:
        return np.where(logits < 0, logits - np.float32(5), logits)

    with pytest.raises(BackendError, match="the near network finds other faces"):
        require_same_faces("the engine", Other("near", with_scores("near", poorer)), "near")


@pytest.mark.parametrize("range_", RANGES)
def test_scores_may_differ_at_the_limit_as_elsewhere(range_: Range):
    for change in (-0.01, 0.01):
        moved = Other(range_, with_scores(range_, lambda logits: logits + np.float32(change)))  # noqa: B023
        assert 0 < require_same_faces("it", moved, range_).score < MOST_SCORE


@pytest.mark.parametrize("range_", RANGES)
def test_what_sees_other_faces_is_refused_and_told(range_: Range):
    for change in (
        with_scores(range_, lambda logits: logits + np.float32(0.3)),
        with_scores(range_, lambda logits: logits - np.float32(20)),
        with_scores(range_, lambda logits: np.full_like(logits, np.nan)),
        lambda found: found[::-1],
        lambda found: np.roll(found, 16, axis=1),
    ):
        with pytest.raises(
            BackendError, match=rf"the engine: the {range_} network finds other faces"
        ) as caught:
            require_same_faces("the engine", Other(range_, change), range_)
        assert caught.value.reason == "wrong"


def faces(*boxes: tuple[float, float, float, float], score: float = 0.9) -> Faces:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Faces(xyxy, np.full(len(xyxy), score, np.float32), np.zeros((len(xyxy), 6, 2), np.float32))


ONE, TWO = (10, 10, 110, 110), (200, 10, 300, 110)


def test_the_order_of_faces_does_not_matter():
    apart = difference([faces(TWO, ONE)], [faces(ONE, TWO)])
    assert (apart.faces, apart.is_same, apart.iou) == (2, True, 1)


@pytest.mark.parametrize("found", [(), (ONE,), (ONE, ONE), (ONE, TWO, (10, 200, 110, 300))])
def test_missing_doubled_and_further_faces_are_others(found: tuple[tuple[float, float, float, float], ...]):
    assert difference([faces(*found)], [faces(ONE, TWO)]).unmatched > 0
    assert not difference([faces(*found)], [faces(ONE, TWO)]).is_same


def test_boxes_may_be_a_pixel_apart_and_large_ones_as_much_as_the_overlap_allows():
    small, large = (10, 10, 30, 30), (0, 0, 400, 400)
    assert difference([faces((11, 11, 31, 31))], [faces(small)]).is_same
    assert not difference([faces((12, 10, 32, 30))], [faces(small)]).is_same
    assert difference([faces((2, 0, 402, 400))], [faces(large)]).is_same
    assert not difference([faces((6, 0, 406, 400))], [faces(large)]).is_same


def test_scores_and_keypoints_have_their_bounds():
    assert difference([faces(ONE, score=0.915)], [faces(ONE)]).is_same
    assert not difference([faces(ONE, score=0.925)], [faces(ONE)]).is_same
    one = faces(ONE)
    assert difference([replace(one, keypoints=one.keypoints + np.float32(1.5))], [one]).is_same
    assert not difference([replace(one, keypoints=one.keypoints + np.float32(2.5))], [one]).is_same


def test_nobody_in_both_is_the_same():
    assert difference([faces()], [faces()]).is_same
